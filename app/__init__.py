"""What the outside talks to; depends on provisioning, migrations and tenants."""
