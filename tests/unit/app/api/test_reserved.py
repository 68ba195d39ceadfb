"""Which words are no client ids."""

from litestar import Litestar, get

from app.api.reserved import PROMISED, reserved_ids


@get(["/reports/daily", "/{client_id:str}/login", "/api/v1/things", "/api/budgets/{id:str}", "/"])
async def anything() -> None:
    """Answer nothing; only the paths matter."""


def test_first_segments_of_the_routes_are_reserved_and_parameters_are_not() -> None:
    reserved = reserved_ids(Litestar([anything], openapi_config=None).routes)
    assert reserved == PROMISED | {"reports", "api", "budgets", "v1"}


def test_what_is_promised_is_reserved_before_it_is_routed() -> None:
    assert {"docs", "login", "ws"} <= reserved_ids([])
