"""Paths that say the same as `/api/v1/events` in other words, and how each is understood."""
