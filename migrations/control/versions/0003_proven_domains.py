"""Domains that were shown to be a client's.

Revision: 0003; after 0002; 2026-11-21 03:40:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand."""
    op.add_column("clients", sa.Column("domain_proven", sa.Text(), nullable=True), schema="grove")


def downgrade() -> None:
    """Go back."""
    op.drop_column("clients", "domain_proven", schema="grove")
