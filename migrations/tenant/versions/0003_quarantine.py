"""Quarantine that can be edited, replayed and purged, and repeats that are remembered.

Revision: 0003; after 0002
"""

from alembic.operations import Operations

from migrations.tenant_plane import TenantSchema

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Expand: code of the revision before still runs."""
    schema.run_file(op, "0003_quarantine.sql")


def downgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Keep what was added: it harms nobody, and holds what cannot be had again."""
    raise NotImplementedError
