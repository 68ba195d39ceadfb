"""The channel of sessions, and their counts by channel and referrer.

Revision: 0007; after 0006
"""

from alembic.operations import Operations

from migrations.tenant_plane import TenantSchema

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Expand: code of the revision before still runs; workers count the days that are there anew."""
    schema.run_file(op, "0007_channels.sql")


def downgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Keep what was added: it harms nobody, and holds what cannot be had again."""
    raise NotImplementedError
