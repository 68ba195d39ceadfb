"""Refuse parameters of a query that contradict each other. Called by the routes that read several."""

from collections.abc import Sequence
from typing import Any

from litestar import Request

from tenants.errors import InputRefused


def require_single_parameters(request: Request[Any, Any, Any], parameters: Sequence[str]) -> None:
    """Refuse parameters that are given twice, of which one would have to win.

    What a question does not know is left aside: sites add marks of their own, against caches for one.
    Errors: InputRefused naming them.
    """
    names = [name for name, _ in request.query_params.multi_items()]
    twice = [name for name in parameters if names.count(name) > 1]
    if twice:
        raise InputRefused("Give this once.", errors=[(name, "Give this once.") for name in twice])
