"""Migrations of the registry (schema `grove`)."""
