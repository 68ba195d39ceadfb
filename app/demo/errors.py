"""What can go wrong with the demo; the message is for whoever started it."""


class DemoFailed(Exception):
    """The demo cannot go on."""
