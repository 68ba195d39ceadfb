"""What enrichment adds to events, the salts of visitors' ids, and persons.

Revision: 0004; after 0003
"""

from alembic.operations import Operations

from migrations.tenant_plane import TenantSchema

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Expand: code of the revision before still runs."""
    schema.run_file(op, "0004_enrichment.sql")


def downgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Keep what was added: it harms nobody, and holds what cannot be had again."""
    raise NotImplementedError
