"""Rollups of a client's events and sessions, and the functions that answer from them.

Revision: 0002; after 0001
"""

from alembic.operations import Operations

from migrations.tenant_plane import TenantSchema

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# One row of `rollup_bits` speaks of so many people, and one of `rollup_block_bits` of so many of its rows.
CHUNK = 2048
CHUNKS = 4


def upgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Create what the workers fill and the dashboards read; what is stored already waits to be rolled up."""
    schema.run_file(op, "0002_rollups.sql")
    # A function cannot make the empty set that an aggregate begins with, so it is written out.
    for aggregate, step, width in (
        ("bits_of(integer, integer)", "set_bit", CHUNK),
        ("quad_of(bit, integer)", "overlay", CHUNK * CHUNKS),
    ):
        statement = (
            f"CREATE AGGREGATE {{{{fn}}}}{aggregate} "
            f"(SFUNC = pg_catalog.{step}, STYPE = bit, INITCOND = '{'0' * width}')"
        )
        op.get_bind().exec_driver_sql(schema.render(statement))
    schema.run_file(op, "0002_answers.sql")


def downgrade(*, op: Operations, schema: TenantSchema) -> None:
    """Events would lose their flush: removal of a client drops its schema."""
    raise NotImplementedError
