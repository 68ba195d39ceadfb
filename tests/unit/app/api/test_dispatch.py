"""What a failed operation is answered with."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from app.api.dispatch import failure_of
from provisioning.operations import OperationView
from tenants.errors import AlreadyTaken, DatabaseRefused, GroveError, InputRefused, OperationFailed


def failed(error: dict[str, Any] | None) -> OperationView:
    return OperationView(
        id=uuid.UUID(int=1),
        kind="client.create",
        client_id="maple",
        state="failed",
        actor="cli",
        steps=[],
        error=error,
        created_at=datetime(2026, 11, 21, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("code", "kind", "field"),
    [
        ("database_refused", DatabaseRefused, "/placement/url"),
        ("already_taken", AlreadyTaken, "/placement/url"),
        ("input_refused", InputRefused, "/placement/url"),
        ("invalid_catalog_name_error", OperationFailed, "/placement/url"),
    ],
)
def test_what_the_caller_can_mend_is_told_apart_from_what_it_cannot(
    code: str, kind: type[GroveError], field: str
) -> None:
    error = failure_of(failed({"code": code, "detail": "It is not empty.", "pointer": "/placement/url"}))
    assert type(error) is kind
    assert (error.detail, error.field) == ("It is not empty.", field)


def test_a_failure_without_a_reason_still_says_what_happened() -> None:
    error = failure_of(failed(None))
    assert isinstance(error, OperationFailed)
    assert error.detail == "The operation failed and was undone."
    assert error.operation_id == str(uuid.UUID(int=1))
