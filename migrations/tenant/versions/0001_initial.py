"""Initial tables of a client.

Revision: 0001
"""

from alembic.operations import Operations

from migrations.tenant_plane import TenantSchema

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Create the tables and grant them to the client's roles."""
    schema.run_file(op, "0001_initial.sql")


def downgrade(*, op: Operations, schema: TenantSchema) -> None:
    """There is nothing before the first revision: removal of a client drops its schema."""
    raise NotImplementedError
