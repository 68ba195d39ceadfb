"""Webhooks: deliveries of other services become our events."""
