"""Migrations of one client's schema; the same for every client."""
