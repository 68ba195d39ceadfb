"""What each client lets be collected of its visitors.

Revision: 0009; after 0008; 2026-11-21 12:00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand."""
    op.add_column(
        "clients",
        sa.Column("visitors", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        schema="grove",
    )


def downgrade() -> None:
    """Go back."""
    op.drop_column("clients", "visitors", schema="grove")
