"""Clients' logos as Grove drew them, and when a domain was last seen to be proven.

Revision: 0005; after 0004; 2026-11-21 05:00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand."""
    seen_at = sa.Column("domain_seen_at", postgresql.TIMESTAMP(timezone=True), nullable=True)
    op.add_column("clients", seen_at, schema="grove")
    op.create_table(
        "logos",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("logo", postgresql.BYTEA(), nullable=True),
        sa.Column("icon", postgresql.BYTEA(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("looked_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["grove.clients.id"], name=op.f("fk_logos_client_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_logos")),
        schema="grove",
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("logos", schema="grove")
    op.drop_column("clients", "domain_seen_at", schema="grove")
