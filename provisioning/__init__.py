"""Makes clients real, changes them and removes them without a trace; depends on migrations and tenants."""
