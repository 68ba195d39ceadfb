"""What enrichment adds to events, the salts of visitors' ids, and persons.

Revision: 0005; after 0004
"""

from alembic.operations import Operations

from migrations.tenant_plane import TenantSchema

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Expand: code of the revision before still runs."""
    schema.run_file(op, "0005_enrichment.sql")


def downgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Keep what was added: it harms nobody, and holds what cannot be had again."""
    raise NotImplementedError
