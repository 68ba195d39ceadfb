"""What a service token proves, and what everything that only looks like one does not."""

import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt
import pytest

from tenants.ids import TenantId
from tenants.keys import Scope
from tenants.tokens import LEEWAY, MAX_LENGTH, ServiceTokens, TokenProof
from tenants.vault import Vault

NOW = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
ENDS_AT = NOW + timedelta(minutes=15)
VAULT = Vault("a secret key of at least 32 characters")
TOKENS = ServiceTokens(VAULT, issuer="https://grove.example")
PROOF = TokenProof(token_id=uuid4(), client_id=TenantId("maple"), signing_key=uuid4())
TOKEN = TOKENS.sign(PROOF, [Scope.WRITE], now=NOW, expires_at=ENDS_AT)
HEADER = {"kid": str(PROOF.signing_key), "typ": "grove+jwt"}
CLAIMS = jwt.decode(TOKEN, options={"verify_signature": False})
SECRET = VAULT.password_for(f"token/{PROOF.signing_key}")


def part(value: object) -> str:
    """Write a part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def signed(claims: dict[str, object], **header: object) -> str:
    """Sign claims as Grove does, under another header where one is given."""
    return jwt.encode(CLAIMS | claims, SECRET, algorithm="HS256", headers=HEADER | header)


def test_a_token_proves_which_it_is_and_whose() -> None:
    assert TOKENS.read(TOKEN, now=NOW) == PROOF
    assert TOKENS.read(signed({}), now=NOW) == PROOF


def test_a_token_is_over_when_its_time_and_the_leeway_are() -> None:
    assert TOKENS.read(TOKEN, now=ENDS_AT + LEEWAY - timedelta(seconds=1)) == PROOF
    assert TOKENS.read(TOKEN, now=ENDS_AT + LEEWAY) is None


def test_a_token_of_the_future_is_taken_within_the_leeway_alone() -> None:
    assert TOKENS.read(TOKEN, now=NOW - LEEWAY) == PROOF
    assert TOKENS.read(TOKEN, now=NOW - LEEWAY - timedelta(seconds=1)) is None


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"}, {"aud": ["grove", "another"]}, {"iss": "https://other.example"}, {"jti": "7"}, {"sub": 7},
        {"exp": "tomorrow"}, {"exp": -1}, {"exp": 2**60}, {"iat": None},
    ],
    ids=str,
)  # fmt: skip
def test_other_claims_under_a_right_signature_prove_nothing(claims: dict[str, object]) -> None:
    assert TOKENS.read(signed(claims), now=NOW) is None


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "jti", "iat", "exp", "scope"])
def test_no_claim_may_be_missing(claim: str) -> None:
    left = {name: value for name, value in CLAIMS.items() if name != claim}
    assert TOKENS.read(jwt.encode(left, SECRET, algorithm="HS256", headers=HEADER), now=NOW) is None


@pytest.mark.parametrize("algorithm", ["none", "None", "HS384", "RS256", "EdDSA"])
def test_a_token_does_not_choose_its_algorithm(algorithm: str) -> None:
    _, claims, signature = TOKEN.split(".")
    header = part(HEADER | {"alg": algorithm})
    assert TOKENS.read(f"{header}.{claims}.{signature}", now=NOW) is None
    assert TOKENS.read(f"{header}.{claims}.", now=NOW) is None


def test_another_algorithm_under_the_right_secret_is_refused() -> None:
    assert TOKENS.read(jwt.encode(CLAIMS, SECRET + SECRET, algorithm="HS512", headers=HEADER), now=NOW) is None
    assert TOKENS.read(jwt.encode(CLAIMS, SECRET, algorithm="HS256", headers=HEADER), now=NOW) == PROOF


@pytest.mark.parametrize(
    "header",
    [{"kid": str(UUID(int=1))}, {"kid": "../../dev/null"}, {"kid": ""}, {"typ": "JWT"}, {"crit": ["x"], "x": 1}],
    ids=str,
)
def test_another_header_under_the_same_secret_proves_nothing(header: dict[str, object]) -> None:
    assert TOKENS.read(signed({}, **header), now=NOW) is None


def test_a_changed_token_proves_nothing() -> None:
    header, _, signature = TOKEN.split(".")
    assert TOKENS.read(f"{header}.{part(CLAIMS | {'sub': 'birch'})}.{signature}", now=NOW) is None


def test_another_secret_key_knows_no_tokens_of_ours() -> None:
    other = ServiceTokens(Vault("another secret key of 32 characters, or more"), issuer="https://grove.example")
    assert other.read(TOKEN, now=NOW) is None


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b.c", "eyJ.eyJ.", "é.é.é", "x" * (MAX_LENGTH + 1), f"{TOKEN}.{TOKEN}", f"[].{part({})}."],
)
def test_what_is_no_token_proves_nothing(text: str) -> None:
    assert TOKENS.read(text, now=NOW) is None
