"""Which clients' rollups lag behind their events, and numbers for those who make ids of flushes.

Revision: 0006; after 0005; 2026-11-21 05:36:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand."""
    op.create_table(
        "rollup_marks",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("since", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_rollup_marks")),
        schema="grove",
    )
    op.execute("CREATE SEQUENCE grove.flush_makers MINVALUE 0 MAXVALUE 8388607 CYCLE")


def downgrade() -> None:
    """Take it back."""
    op.execute("DROP SEQUENCE grove.flush_makers")
    op.drop_table("rollup_marks", schema="grove")
