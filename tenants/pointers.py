"""Write JSON pointers (RFC 6901), which say where in a body a fault is.

Called wherever input is judged.
"""


def escape(key: str) -> str:
    """Escape a key as one token of a pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def pointer(*keys: str) -> str:
    """Write the pointer to what lies under these keys."""
    return "".join("/" + escape(key) for key in keys)
