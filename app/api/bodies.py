"""Name what is refused in a body by its JSON pointer, where the same is read from parameters elsewhere.

Called by the routes that take times, codes and cursors in a body.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tenants.errors import InputRefused
from tenants.pointers import pointer


@contextmanager
def reading_body() -> Iterator[None]:
    """Turn names of parameters into pointers.

    Errors: InputRefused.
    """
    try:
        yield
    except InputRefused as refused:
        errors = [(pointer(name), detail) for name, detail in refused.errors]
        raise InputRefused(refused.detail, code=refused.code, errors=errors) from refused
