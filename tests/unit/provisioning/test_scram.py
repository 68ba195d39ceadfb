"""The verifier is what Postgres itself would store."""

import base64
import re

import pytest

from provisioning.scram import random_password, scram_verifier
from provisioning.sqltext import literal


def test_the_verifier_of_a_known_password_is_postgres_own() -> None:
    # Source: the example exchange of RFC 7677, whose password is "pencil".
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    assert scram_verifier("pencil", salt=salt) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
        "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def test_no_two_passwords_or_verifiers_are_alike() -> None:
    password = random_password()
    assert password != random_password()
    assert scram_verifier(password) != scram_verifier(password)
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", password)


def test_texts_are_quoted_and_those_that_cannot_be_are_refused() -> None:
    assert literal("it's") == "'it''s'"
    with pytest.raises(ValueError, match="back"):
        literal("back\\slash")
