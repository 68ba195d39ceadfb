"""What makes two requests the same."""

from app.api.idempotency import request_hash


def test_members_in_another_order_and_blanks_are_the_same_request() -> None:
    assert request_hash("POST", "/a", b'{"x": 1, "y": [2]}') == request_hash("POST", "/a", b'{"y":[2],"x":1}')


def test_another_body_path_or_method_is_another_request() -> None:
    hashes = {
        request_hash("POST", "/a", b"{}"),
        request_hash("POST", "/a", b'{"x":1}'),
        request_hash("POST", "/b", b"{}"),
        request_hash("PUT", "/a", b"{}"),
        request_hash("POST", "/a", b""),
        request_hash("POST", "/a", b"no json"),
    }
    assert len(hashes) == 6
