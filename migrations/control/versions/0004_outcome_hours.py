"""What became of the clients' events, for the platform's own dashboard.

Revision: 0004; after 0003; 2026-11-21 03:36:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand."""
    op.create_table(
        "outcome_hours",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("hour", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["grove.clients.id"],
            name=op.f("fk_outcome_hours_client_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("client_id", "hour", "outcome", name=op.f("pk_outcome_hours")),
        schema="grove",
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("outcome_hours", schema="grove")
