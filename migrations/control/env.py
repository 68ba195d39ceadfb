"""Alembic's entry for schema `grove`; runs on the connection that `migrations.runner` hands over."""

from alembic import context

from tenants.models import SCHEMA, Base


def _ours(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "schema" or name == SCHEMA


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
    include_name=_ours,
    compare_server_default=False,
)
with context.begin_transaction():
    context.run_migrations()
