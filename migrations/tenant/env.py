"""Alembic asks for this file; tenant migrations are run by `migrations.tenant_plane`."""
