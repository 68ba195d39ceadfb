"""Which raw paths and queries have one reading."""

import pytest

from app.gateway.paths import MAX_PATH_BYTES, MAX_QUERY_BYTES, read_path, read_query
from app.gateway.rules import RULES, find_rule
from tenants.errors import NotFound
from tests.support.mutations import CLOSED, mutations

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND")


def test_there_are_enough_mutations_to_mean_something() -> None:
    assert len({raw for closed in CLOSED for raw in mutations(closed)}) > 2000


@pytest.mark.parametrize("closed", CLOSED, ids=repr)
def test_a_mutated_path_is_refused_or_leads_to_nothing(closed: bytes) -> None:
    for raw in mutations(closed):
        try:
            path = read_path(raw)
        except NotFound:
            continue
        assert path.encode() == raw
        assert [find_rule(method, path, "editor") for method in METHODS] == [None] * len(METHODS), raw


@pytest.mark.parametrize("raw", CLOSED, ids=repr)
@pytest.mark.parametrize("suffix", [b"", b"/"])
def test_a_closed_path_is_closed_for_everybody_and_every_method(raw: bytes, suffix: bytes) -> None:
    path = read_path(raw + suffix if not raw.endswith(b"/") else raw)
    assert [find_rule(method, path, "editor") for method in METHODS] == [None] * len(METHODS)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"d/x", b"//", b"/..", b"/.", b"/d/.x", b"/d/x?y", b"/d/x#y", b"/d/x y", b"/d/x\x00", b"/d/x\n",
        b"/d/x\r\nA: b", b"/d/\xc3\xa9", b"/d/%41", b"/d/x;y", b"/d\\x", b"/d/x%", b"http://elsewhere/d/x", b"/d/x@y",
        b"/d/x|y", b'/d/x"',
        b"/" + b"a" * MAX_PATH_BYTES,
    ],
    ids=repr,
)  # fmt: skip
def test_a_path_with_a_second_reading_is_refused(raw: bytes) -> None:
    with pytest.raises(NotFound):
        read_path(raw)


@pytest.mark.parametrize(
    "raw", [b"/", b"/d/x/a-title_1.0~", b"/public/build/app.84d214799c2b5093c33c.js", b"/dashboards"]
)
def test_an_ordinary_path_is_taken_as_it_is(raw: bytes) -> None:
    assert read_path(raw) == raw.decode()


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b"", ""),
        (b"from=now-7d&to=now", "from=now-7d&to=now"),
        (b"orgId=2&from=now", "from=now"),
        (b"from=now&orgId=1&orgId=2", "from=now"),
        (b"ORGID=1&orgid=1", ""),
        (b"org%49d=1", ""),
        (b"%6frg%49d=1", ""),
        (b"org%2549d=1", ""),
        (b"orgId+=1&+orgId=1", ""),
        (b"orgId", ""),
        (b"targetOrgId=1&auth_token=x&api_key=y&token=z&x=1", "x=1"),
        (b"var-x=a%20b&kiosk", "var-x=a%20b&kiosk"),
        (b"&&a=1&&", "a=1"),
    ],
)
def test_a_query_loses_what_names_an_organisation_or_an_identity(raw: bytes, kept: str) -> None:
    assert read_query(raw) == kept


@pytest.mark.parametrize(
    "raw", [b"a=1;orgId=2", b"a=\xff", b"a=1\r\nX: y", b"a b", b'a="', b"a=1#", b"a=" + b"x" * MAX_QUERY_BYTES]
)
def test_a_query_with_a_second_reading_is_refused(raw: bytes) -> None:
    with pytest.raises(NotFound):
        read_query(raw)


def test_every_rule_says_why_it_is_there() -> None:
    assert all(rule.reason for rule in RULES)
    assert all(rule.methods <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} for rule in RULES)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/dashboards/db"), ("DELETE", "/api/dashboards/uid/x"), ("POST", "/api/folders"),
        ("POST", "/api/annotations"), ("GET", "/dashboard/new"), ("POST", "/api/dashboards/uid/x/restore"),
        ("PUT", "/api/folders/x"), ("DELETE", "/api/annotations/1"),
    ],
)  # fmt: skip
def test_only_editors_change_dashboards(method: str, path: str) -> None:
    assert find_rule(method, path, "viewer") is None
    assert find_rule(method, path, "editor") is not None
    assert find_rule(method, path, "Editor") is None
    assert find_rule(method, path, "admin") is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"), ("GET", "/d/user-events"), ("GET", "/d/user-events/user-events"), ("GET", "/dashboards"),
        ("HEAD", "/d/x"), ("POST", "/api/ds/query"), ("GET", "/api/search"), ("GET", "/api/live/ws"),
        ("GET", "/public/img/icons/unicons/search.svg"), ("GET", "/api/dashboards/uid/user-events"),
        ("POST", "/api/user/stars/dashboard/12"), ("GET", "/public/build/runtime.6053feddcc6fbd64e317.js"),
    ],
)  # fmt: skip
def test_viewers_reach_what_a_dashboard_needs(method: str, path: str) -> None:
    assert find_rule(method, path, "viewer") is not None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/ds/query"), ("PUT", "/api/ds/query"), ("POST", "/"), ("DELETE", "/d/x"), ("POST", "/api/search"),
        ("POST", "/api/live/ws"), ("GET", "/api/dashboards/db"), ("POST", "/public/img/x.png"), ("OPTIONS", "/"),
        ("GET", "/api/ds/query/"), ("GET", "/d/"), ("GET", "/d/x/y/z"), ("GET", "/public/"), ("GET", "/D/x"),
    ],
)  # fmt: skip
def test_another_method_or_another_path_is_not_let_through(method: str, path: str) -> None:
    assert find_rule(method, path, "editor") is None
