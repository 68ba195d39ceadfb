"""One batch to the server, and what follows from its answer. Called by the client's thread."""

import gzip
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import httpx

_PATH = "/api/v1/events"
_WORTH_PACKING_BYTES = 1_024
_MAX_BODY_BYTES = 4 * 1024 * 1024
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 60.0
# The body as a whole is refused: one of its events is why, and the others go without it.
_OF_THE_BODY = frozenset({400, 409, 413, 415, 422})


@dataclass(frozen=True)
class Rejected:
    """An event that the server will not store, and why; `code` and `pointer` are those of its answer."""

    event: dict[str, Any]
    code: str
    pointer: str
    detail: str


class Verdict(Enum):
    """What is to be done with a batch."""

    DONE = "the server has it"
    SPLIT = "send it in smaller ones"
    AGAIN = "send it again, later"


@dataclass(frozen=True)
class Answer:
    """What became of a batch: with `AGAIN` the pause before the next attempt, and why there is one."""

    verdict: Verdict
    rejected: Sequence[Rejected] = ()
    pause_s: float = 0.0
    trouble: str = ""


class Delivery:
    """Sends batches, and remembers how long it has been failing."""

    def __init__(self, key: str, url: str, http: httpx.Client) -> None:
        self._url = url.rstrip("/") + _PATH
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._http = http
        self._failures = 0

    def send(self, bodies: Sequence[bytes]) -> Answer:
        """Send one batch."""
        content, headers = b"[" + b",".join(bodies) + b"]", self._headers
        if len(content) > _MAX_BODY_BYTES and len(bodies) > 1:
            return Answer(Verdict.SPLIT)
        if len(content) >= _WORTH_PACKING_BYTES:
            content, headers = gzip.compress(content, compresslevel=1), headers | {"Content-Encoding": "gzip"}
        try:
            answer = self._http.post(self._url, content=content, headers=headers)
        except httpx.TransportError as error:
            return self._again(0.0, f"{type(error).__name__}: {error}")
        if answer.status_code == httpx.codes.ACCEPTED:
            return self._accept(bodies, answer)
        if answer.status_code in _OF_THE_BODY:
            return Answer(Verdict.SPLIT) if len(bodies) > 1 else Answer(Verdict.DONE, [_refused(bodies[0], answer)])
        return self._again(_asked_pause_s(answer), f"{answer.status_code} {answer.reason_phrase}")

    def _accept(self, bodies: Sequence[bytes], answer: httpx.Response) -> Answer:
        try:
            rejected = [_rejected(bodies, found) for found in answer.json()["rejected"]]
        except (ValueError, LookupError, TypeError):
            return self._again(0.0, "an answer that is not Grove's")
        self._failures = 0
        return Answer(Verdict.DONE, rejected)

    def _again(self, asked_pause_s: float, trouble: str) -> Answer:
        own_s = min(_FIRST_PAUSE_S * 2**self._failures, _LONGEST_PAUSE_S)
        self._failures = min(self._failures + 1, 10)
        # Spread, so that what failed together does not come back together.
        pause_s = max(asked_pause_s, own_s) * random.uniform(1.0, 1.25)  # noqa: S311 - nothing depends on its secrecy
        return Answer(Verdict.AGAIN, pause_s=pause_s, trouble=trouble)


def _rejected(bodies: Sequence[bytes], found: dict[str, Any]) -> Rejected:
    event = json.loads(bodies[found["index"]])
    return Rejected(event, found["code"], found["pointer"], found["detail"])


def _refused(body: bytes, answer: httpx.Response) -> Rejected:
    try:
        problem = answer.json()
    except ValueError:  # from something between us and the server
        problem = {}
    code, detail = problem.get("code", f"http_{answer.status_code}"), problem.get("detail", answer.text[:200])
    return Rejected(json.loads(body), code, "", detail)


def _asked_pause_s(answer: httpx.Response) -> float:
    try:
        return max(float(answer.headers.get("retry-after", "0")), 0.0)
    except ValueError:  # a date: our own pause will do
        return 0.0
