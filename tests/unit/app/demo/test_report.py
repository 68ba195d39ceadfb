"""What the demo tells people."""

import pytest

from app.asgi import create_litestar
from app.demo.clients import CLIENTS
from app.demo.keys import ClientKeys
from app.demo.report import tell_where
from app.observability import Metrics
from app.settings import Settings


def test_every_address_that_is_told_is_one_that_answers(capsys: pytest.CaptureFixture[str]) -> None:
    keys = ClientKeys(admin="a", server="s", browser="b")
    tell_where("http://grove.test", "p", [(client, keys) for client in CLIENTS])
    told = [word.removeprefix("http://grove.test") for word in capsys.readouterr().out.split() if "://" in word]
    assert len(told) > len(CLIENTS)
    routes = {route.path for route in create_litestar(Settings(), Metrics(None)).routes}
    patterns = {path.replace("{client_id:str}", client.id) for path in routes for client in CLIENTS}
    assert set(told) - {""} <= patterns
