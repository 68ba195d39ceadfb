"""Bring the control plane and every client's schema to the present revision; depends on tenants alone."""
