"""From when on what is older than a lowered retention may be removed, and a client's share of connections.

Revision: 0008; after 0007; 2026-11-21 08:40:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand."""
    op.add_column("clients", sa.Column("prune_after", sa.TIMESTAMP(timezone=True), nullable=True), schema="grove")
    op.add_column(
        "clients", sa.Column("share", sa.BigInteger(), server_default=sa.text("1"), nullable=False), schema="grove"
    )


def downgrade() -> None:
    """Go back."""
    op.drop_column("clients", "share", schema="grove")
    op.drop_column("clients", "prune_after", schema="grove")
