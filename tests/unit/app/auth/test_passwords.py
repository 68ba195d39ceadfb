"""Which passwords are taken, and how they are kept."""

import asyncio
from collections.abc import Iterator

import argon2
import pytest

from app.auth.passwords import AT_ONCE, MAX_LENGTH, MAX_WAITING, MEMORY_KIB, Passwords, find_fault
from tenants.errors import StoreUnavailable

LEAN_KIB = 8
KNOWN = ("ana@maple.example", "Ana Silva", "maple", "Maple Dental")


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    """Hash with little memory, as if that were today's parameter."""
    hashing = Passwords(memory_kib=LEAN_KIB)
    yield hashing
    hashing.close()


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "tr0ub4dor&3-but-longer",
        "pâté au vin 1er",
        "密码不是这个真的很长很长",
        "vX9#kQ2!mZ7p",
        "lavender teapot seventeen",
        "x" * 5 + "Rk9!vTb2" + "y" * (MAX_LENGTH - 13),
    ],
)
def test_a_password_that_must_be_guessed_is_taken(password: str) -> None:
    assert find_fault(password, KNOWN) is None


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "elevenchars",
        "x" * (MAX_LENGTH + 1),
        "aaaaaaaaaaaaaaaa",
        "abababababab",
        "password1234",
        "P@ssw0rd1234!",
        "passwordpassword",
        "qwertyuiop123",
        "1q2w3e4r" * 2,
        "123456789012",
        "abcdefghijklm",
        "Welcome2026!!",
        "letmeinletmein",
        "iloveyou2024!",
        "adminadmin123",
        "September2026",
        "MapleDental2026",
        "ana@maple.example",
        "silva-ana-1990",
        "maplemaple12",
        "correct horse\0battery",
        "correct horse \ud800 battery",
    ],
)
def test_a_password_that_is_tried_first_is_not_taken(password: str) -> None:
    assert find_fault(password, KNOWN) is not None


async def test_a_hash_is_argon2id_and_matches_its_password_alone(passwords: Passwords) -> None:
    stored = await passwords.hash("correct horse battery staple")
    assert stored.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert await passwords.check(stored, "correct horse battery staple")
    assert not await passwords.check(stored, "correct horse battery stapler")
    assert not await passwords.check(stored, "Correct horse battery staple")


async def test_a_hash_of_other_parameters_still_matches_and_is_outdated(passwords: Passwords) -> None:
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=16, parallelism=1).hash("correct horse battery staple")
    assert await passwords.check(weak, "correct horse battery staple")
    assert passwords.outdated(weak)
    assert not passwords.outdated(await passwords.hash("correct horse battery staple"))


def test_the_memory_is_what_is_advised() -> None:
    assert MEMORY_KIB >= 46 * 1024
    assert MEMORY_KIB * AT_ONCE <= 128 * 1024


@pytest.mark.parametrize("stored", [None, "", "not a hash"])
async def test_nobody_matches_nothing(passwords: Passwords, stored: str | None) -> None:
    assert not await passwords.check(stored, "correct horse battery staple")


async def test_a_password_beyond_all_limits_never_matches_even_its_beginning(passwords: Passwords) -> None:
    stored = await passwords.hash("a" * MAX_LENGTH)
    assert await passwords.check(stored, "a" * MAX_LENGTH)
    assert not await passwords.check(stored, "a" * (MAX_LENGTH + 1))


async def test_more_at_once_than_can_wait_are_refused_and_the_others_served(passwords: Passwords) -> None:
    asked = [passwords.check(None, "correct horse battery staple") for _ in range(MAX_WAITING + 5)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers].count(StoreUnavailable) == 5
    assert answers.count(False) == MAX_WAITING
