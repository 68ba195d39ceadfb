"""Hash and check passwords with Argon2id, a few at a time; and judge new ones.

Called by the login and by the pages on which a password is set. Somebody unknown costs as much as somebody known.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from tenants.errors import StoreUnavailable

T = TypeVar("T")
# OWASP, Password Storage Cheat Sheet: the first of its equal choices.
MEMORY_KIB, PASSES, LANES = 47_104, 1, 1
# So that hashing takes 92 MiB at most, and leaves cores to everything else.
AT_ONCE = 2
MAX_WAITING = 32
MIN_LENGTH, MAX_LENGTH = 12, 128
# What must be left of a password when all that is guessed first is taken out of it.
MIN_SURPRISE = 4
MIN_DIFFERENT = 5

_WORDS = (Path(__file__).parent / "common_words.txt").read_text().split()
_RUNS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qazwsxedcrfv", "qwertz")
_RUN_LENGTH = 3
_YEAR = re.compile(r"(?:19|20)\d\d")
_LEET = str.maketrans("013457@$!", "oieastasi")


class Passwords:
    """Hashes in threads of its own. `memory_kib` is only ever less in tests."""

    def __init__(self, *, memory_kib: int = MEMORY_KIB) -> None:
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=memory_kib, parallelism=LANES, type=Type.ID)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._waiting = 0
        self._nobodys = self._hasher.hash(secrets.token_urlsafe())

    async def check(self, stored: str | None, password: str) -> bool:
        """Compare a password with a stored hash; with None, do the same work and say no.

        Errors: StoreUnavailable when too many are being compared.
        """
        if len(password) > MAX_LENGTH:
            password, stored = password[:MAX_LENGTH], None
        matches = await self._do(lambda: self._matches(stored or self._nobodys, password))
        return matches and stored is not None

    async def hash(self, password: str) -> str:
        """Hash a password that was judged before.

        Errors: StoreUnavailable when too many are being hashed.
        """
        return await self._do(lambda: self._hasher.hash(password))

    def outdated(self, stored: str) -> bool:
        """Tell whether a hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(cancel_futures=True)

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _do(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise StoreUnavailable("Too many people are logging in at this moment.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def find_fault(password: str, known: Iterable[str] = ()) -> str | None:
    """Say what is wrong with a new password, or None; `known` are words that others would try, such as a name."""
    if len(password) < MIN_LENGTH:
        return f"A password has at least {MIN_LENGTH} characters."
    if len(password) > MAX_LENGTH:
        return f"A password has at most {MAX_LENGTH} characters."
    if "\0" in password or any("\ud800" <= character <= "\udfff" for character in password):
        return "This password holds a character that cannot be typed."
    if len(set(password)) < MIN_DIFFERENT or len(_surprise(password, known)) < MIN_SURPRISE:
        return "This password is among the first that others would try. Three or four random words make a good one."
    return None


def _surprise(password: str, known: Iterable[str]) -> str:
    """Take out common words, years, sequences and repetition; what is left is what has to be guessed."""
    rest = password.lower()
    own = [part for text in known for part in re.split(r"[\W_]+", text.lower()) if len(part) >= _RUN_LENGTH]
    words = sorted({*own, *_WORDS}, key=len, reverse=True)
    for text in (rest, _without_runs(rest).translate(_LEET)):
        left = _YEAR.sub("", text)
        for word in words:
            left = left.replace(word, "")
        left = re.sub(r"(.+?)\1+", r"\1", _without_runs(left))
        rest = min(rest, re.sub(r"[\W_]", "", left), key=len)
    return rest


def _without_runs(text: str) -> str:
    """Take out what follows the alphabet, the digits or a row of keys, in either direction."""
    kept, start = "", 0
    while start < len(text):
        end = start + _RUN_LENGTH
        while end <= len(text) and _is_run(text[start:end]):
            end += 1
        if end > start + _RUN_LENGTH:
            start = end - 1
        else:
            kept += text[start]
            start += 1
    return kept


def _is_run(piece: str) -> bool:
    return any(piece in run or piece[::-1] in run for run in _RUNS)
