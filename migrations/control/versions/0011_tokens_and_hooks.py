"""Service tokens with the keys that sign them, and services that tell of events by webhooks.

Revision: 0011; after 0010; 2026-11-21 15:30:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand."""
    time, number = postgresql.TIMESTAMP(timezone=True), postgresql.UUID(as_uuid=True)
    op.create_table(
        "signing_keys",
        sa.Column("id", number, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("ends_at", time, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_keys")),
        schema="grove",
    )
    op.create_table(
        "service_tokens",
        sa.Column("id", number, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("key_id", number, nullable=False),
        sa.Column("signing_key", number, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.Column("revoked_at", time, nullable=True),
        _to("service_tokens", "client_id", "clients"),
        _to("service_tokens", "key_id", "api_keys"),
        _to("service_tokens", "signing_key", "signing_keys"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_tokens")),
        schema="grove",
    )
    for column in ("client_id", "key_id", "expires_at"):
        op.create_index(op.f(f"ix_service_tokens_{column}"), "service_tokens", [column], schema="grove")
    op.create_table(
        "webhook_sources",
        sa.Column("id", number, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("accept_test", sa.Boolean(), nullable=False),
        sa.Column("signature", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("mapping", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("secret_sealed", postgresql.BYTEA(), nullable=True),
        sa.Column("past_secret_sealed", postgresql.BYTEA(), nullable=True),
        sa.Column("past_until", time, nullable=True),
        sa.Column("created_at", time, nullable=False),
        sa.Column("updated_at", time, nullable=False),
        _to("webhook_sources", "client_id", "clients"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_sources")),
        schema="grove",
    )
    op.create_index(op.f("ix_webhook_sources_client_id"), "webhook_sources", ["client_id"], schema="grove")


def _to(table: str, column: str, whose: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint([column], [f"grove.{whose}.id"], name=name, ondelete="CASCADE")


def downgrade() -> None:
    """Take it back."""
    op.drop_table("webhook_sources", schema="grove")
    op.drop_table("service_tokens", schema="grove")
    op.drop_table("signing_keys", schema="grove")
