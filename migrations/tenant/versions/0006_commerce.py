"""Typed facts of commerce, and the orders and items that they tell of.

Revision: 0006; after 0005
"""

from alembic.operations import Operations

from migrations.tenant_plane import TenantSchema

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Expand: code of the revision before still runs; what it stores meanwhile is told by `grove rollup rebuild`."""
    schema.run_file(op, "0006_commerce.sql")


def downgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Keep what was added: it harms nobody."""
    raise NotImplementedError
