"""What is counted beforehand: rolled up by workers from pending flushes, always equal to a recount."""
