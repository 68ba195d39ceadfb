"""Events that older processes store while newer ones run are pending, and not lost to the rollups.

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
    schema.run_file(op, "0004_unknown_flushes.sql")


def downgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Keep what was added: it harms nobody."""
    raise NotImplementedError
