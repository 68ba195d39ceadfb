"""Examples of the paths of service tokens, for the API's documentation. Read by `management_examples`."""

import uuid
from datetime import UTC, datetime, timedelta

import msgspec

from app.api.examples import Examples
from app.api.pages import Page, PageMeta
from app.api.tokens import KeyChangeRequest, TokenRequest
from provisioning.tokens import SigningKeyView, TokenView

_AT = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
_TOKEN = TokenView(
    id=uuid.UUID("2f4c1f0b-1f3f-4b7e-9a55-7d1f1c8a6e02"),
    client_id="maple",
    key_id=uuid.UUID("f3d1f0a2-8a0c-4a8e-bf14-6a1b7b8f2c31"),
    name="billing",
    scopes=["write"],
    created_at=_AT,
    expires_at=_AT + timedelta(minutes=15),
)
_SIGNING = SigningKeyView(
    id=uuid.UUID("5b7d3c1e-6a0f-4d2b-8c9a-1e2f3a4b5c6d"), created_at=_AT, previous_end_at=_AT + timedelta(days=1)
)
_PATH = "/api/v1/clients/{client_id}/tokens"

TOKEN_EXAMPLES: dict[tuple[str, str], Examples] = {
    ("post", _PATH): Examples(
        {"201": msgspec.structs.replace(_TOKEN, token="eyJhbGciOiJIUzI1NiIs…")},  # noqa: S106 - an example
        body=TokenRequest(name="billing", scopes=["write"], lifetime_s=900),
    ),
    ("get", _PATH): Examples({"200": Page(data=[_TOKEN], meta=PageMeta(next=None))}),
    ("post", "/api/v1/token-keys/rotate"): Examples({"201": _SIGNING}, body=KeyChangeRequest(at_once=False)),
}
