"""The demo: three clients, a month of believable events through the public API, and the check of both."""
