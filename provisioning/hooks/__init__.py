"""Services that tell of a client's events by webhooks."""
