"""Clients' event schemas with their versions, and adaptors.

Revision: 0010; after 0009; 2026-11-21 12:00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand."""
    time = postgresql.TIMESTAMP(timezone=True)
    op.create_table(
        "event_schemas",
        sa.Column("id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("published", sa.BigInteger(), nullable=True),
        sa.Column("created_at", time, nullable=False),
        sa.Column("updated_at", time, nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["grove.clients.id"], name=op.f("fk_event_schemas_client_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_schemas")),
        sa.UniqueConstraint("client_id", "key", name=op.f("uq_event_schemas_client_id_key")),
        schema="grove",
    )
    op.create_table(
        "event_schema_versions",
        sa.Column("schema_id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("definition", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("breaking", sa.Boolean(), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.ForeignKeyConstraint(
            ["schema_id"],
            ["grove.event_schemas.id"],
            name=op.f("fk_event_schema_versions_schema_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("schema_id", "version", name=op.f("pk_event_schema_versions")),
        schema="grove",
    )
    op.create_table(
        "adaptors",
        sa.Column("id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("schema_id", postgresql.UUID(as_uuid=True), nullable=True),
        sa.Column("website_url", sa.Text(), nullable=False),
        sa.Column("origins", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("privacy", sa.Text(), nullable=False),
        sa.Column("tracking_rules", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("script", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=False),
        sa.Column("key_id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("key_sealed", postgresql.BYTEA(), nullable=False),
        sa.Column("past_key_ids", postgresql.ARRAY(postgresql.UUID(as_uuid=True)), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("updated_at", time, nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["grove.clients.id"], name=op.f("fk_adaptors_client_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["schema_id"], ["grove.event_schemas.id"], name=op.f("fk_adaptors_schema_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["key_id"], ["grove.api_keys.id"], name=op.f("fk_adaptors_key_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adaptors")),
        sa.UniqueConstraint("container_id", name=op.f("uq_adaptors_container_id")),
        schema="grove",
    )
    op.create_index(op.f("ix_adaptors_client_id"), "adaptors", ["client_id"], schema="grove")
    op.create_index(op.f("ix_adaptors_schema_id"), "adaptors", ["schema_id"], schema="grove")


def downgrade() -> None:
    """Take it back."""
    op.drop_table("adaptors", schema="grove")
    op.drop_table("event_schema_versions", schema="grove")
    op.drop_table("event_schemas", schema="grove")
