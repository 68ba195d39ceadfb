"""Pending events are read by their index, however young the table is.

Revision: 0008; after 0007
"""

from alembic.operations import Operations

from migrations.tenant_plane import TenantSchema

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Expand: code of the revision before still runs."""
    schema.run_file(op, "0008_pending.sql")


def downgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Keep what was added: it harms nobody."""
    raise NotImplementedError
