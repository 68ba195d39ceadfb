"""Tell whether a request only rehearses: with `?debug=1` it is told what would become of its events.

Called by the collection routes and the receiver of webhooks for each request, so one without it costs next to nothing.
"""

from urllib.parse import parse_qsl

from litestar.types import Scope

from tenants.errors import InputRefused


def rehearses(scope: Scope) -> bool:
    """Read `debug`, however it is spelled and escaped.

    Errors: InputRefused if it is not said clearly: whoever means to rehearse must not store.
    """
    query = scope["query_string"]
    if not query or (b"%" not in query and b"debug" not in query.lower()):
        return False
    named = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    given = [value for name, value in named if name.lower() == "debug"]
    if given not in ([], ["0"], ["1"]):
        raise InputRefused("Give this once, as 1 to rehearse or 0 to store.", field="debug")
    return given == ["1"]
