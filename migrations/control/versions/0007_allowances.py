"""How much clients and keys may send.

Revision: 0007; after 0006; 2026-11-21 05:45:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLES = ("clients", "api_keys")
_COLUMNS = ("rate_limit", "rate_burst", "monthly_quota")


def upgrade() -> None:
    """Expand."""
    for table in _TABLES:
        for column in _COLUMNS:
            op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=True), schema="grove")


def downgrade() -> None:
    """Go back."""
    for table in _TABLES:
        for column in _COLUMNS:
            op.drop_column(table, column, schema="grove")
