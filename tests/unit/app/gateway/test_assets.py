"""Which files are kept, and for how long."""

import pytest

from app.gateway.assets import Asset, AssetCache, is_lasting


def test_what_was_asked_for_least_recently_goes_first() -> None:
    cache = AssetCache(max_bytes=20)
    for name in ("a", "b"):
        cache.keep(name, Asset([], b"0123456789"), gzip=True)
    assert cache.find("a", gzip=True) is not None
    cache.keep("c", Asset([], b"0123456789"), gzip=True)
    assert [name for name in "abc" if cache.find(name, gzip=True)] == ["a", "c"]


def test_encodings_are_kept_apart() -> None:
    cache = AssetCache()
    cache.keep("a", Asset([], b"packed"), gzip=True)
    assert cache.find("a", gzip=False) is None


def test_keeping_twice_counts_once() -> None:
    cache = AssetCache(max_bytes=20)
    for _ in range(5):
        cache.keep("a", Asset([], b"0123456789"), gzip=True)
    cache.keep("b", Asset([], b"0123456789"), gzip=True)
    assert cache.find("a", gzip=True) is not None


@pytest.mark.parametrize(
    ("path", "lasting"),
    [
        ("/public/build/app.84d214799c2b5093c33c.js", True),
        ("/public/build/grafana.dark.50f973f13d5907b04e89.css", True),
        ("/public/build/app.js", False),
        ("/public/img/app.84d214799c2b5093c33c.js", False),
        ("/public/build/img/x.84d214799c2b5093c33c.js", False),
        ("/public/build/app.84d214799c2b5093c33c.json", False),
    ],
)
def test_only_names_that_change_with_the_content_last(path: str, lasting: bool) -> None:  # noqa: FBT001 - a table
    assert is_lasting(path) is lasting
