"""Answer a creating request that is sent twice under one `Idempotency-Key` once.

Called by every route that creates. The key is taken in the transaction of what it creates: a concurrent double
waits for the first, and a request that failed has taken nothing.
"""

import hashlib
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import HeaderParameter
from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.plans import CREATE
from tenants.control import ControlPlane
from tenants.errors import IdempotencyConflict, InputRefused
from tenants.keyring import Principal
from tenants.models import Client, IdempotencyRecord, Operation
from tenants.revocations import RevocationFeed

CREATED = 201
T = TypeVar("T", bound=msgspec.Struct)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

IdempotencyHeader = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="Any unique text of up to 255 visible characters. The same request sent again under it within "
        "24 hours is answered as the first was, without secrets; another request under it is refused. Removing a "
        "client frees the key under which it was made.",
    ),
]


class Idempotency(msgspec.Struct, frozen=True):
    """Who asks for what under which key. `key` is None where the caller gave none."""

    actor: str
    key: str | None
    request_hash: bytes


async def provide_idempotency(
    request: Request[Any, Any, Any],
    principal: NamedDependency[Principal],
    idempotency_key: IdempotencyHeader = None,
) -> Idempotency:
    """Read the header and hash the request.

    Errors: InputRefused.
    """
    if idempotency_key is not None and _KEY.fullmatch(idempotency_key) is None:
        detail = "Idempotency-Key must be 1 to 255 visible ASCII characters."
        raise InputRefused(detail, code="bad_idempotency_key")
    digest = request_hash(request.method, request.url.path, await request.body())
    return Idempotency(principal.actor, idempotency_key, digest)


def request_hash(method: str, path: str, body: bytes) -> bytes:
    """Hash what a request asks for; the order of a JSON object's members and blanks do not matter."""
    try:
        body = msgspec.json.encode(msgspec.json.decode(body), order="sorted")
    except msgspec.DecodeError:
        body = bytes(body)
    return hashlib.sha256(b"\0".join([method.encode(), path.encode(), body])).digest()


async def claim(session: AsyncSession, idempotency: Idempotency) -> IdempotencyRecord | None:
    """Take the key for this request, or return the record of the request that took it before.

    Shape: a key under which a client was made that has been removed since is free again.
    Errors: IdempotencyConflict if that was another request.
    """
    if idempotency.key is None:
        return None
    values = {"actor": idempotency.actor, "key": idempotency.key, "request_hash": idempotency.request_hash}
    query = insert(IdempotencyRecord).values(values).on_conflict_do_nothing().returning(IdempotencyRecord.key)
    if (await session.execute(query)).scalar_one_or_none() is not None:
        return None
    record = await session.get_one(IdempotencyRecord, (idempotency.actor, idempotency.key), with_for_update=True)
    if record.request_hash != idempotency.request_hash:
        detail = "This Idempotency-Key was used for another request."
        raise IdempotencyConflict(detail)
    return None if await _is_undone(session, record) else record


async def _is_undone(session: AsyncSession, record: IdempotencyRecord) -> bool:
    """Tell whether what was made under a key was a client, and that is gone; another one may have its id by now."""
    made = None if record.operation_id is None else await session.get(Operation, record.operation_id)
    if made is None or made.kind != CREATE or made.state != "succeeded":
        return False
    client = await session.get(Client, made.client_id)
    return client is None or client.created_at > made.created_at


async def make_once(
    session: AsyncSession,
    idempotency: Idempotency,
    kind: type[T],
    make: Callable[[AsyncSession], Awaitable[T]],
    *,
    secret: str | None = None,
) -> tuple[T, bool]:
    """Make what a request asks for, or return what was made under its key before.

    Shape: (what was made, whether that is now); its field `secret` is shown this once, and None in what is remembered.
    Errors: IdempotencyConflict, and those of `make`.
    """
    repeated = await claim(session, idempotency)
    if repeated is not None:
        return msgspec.convert(repeated.answer, kind), False
    made = await make(session)
    shown = made if secret is None else msgspec.structs.replace(made, **{secret: None})
    await remember(session, idempotency, status=CREATED, answer=msgspec.to_builtins(shown))
    return made, True


async def answer_once(
    control: ControlPlane,
    feed: RevocationFeed,
    idempotency: Idempotency,
    kind: type[T],
    make: Callable[[AsyncSession], Awaitable[T]],
    *,
    secret: str | None = None,
) -> Response[T]:
    """Make what a request asks for once, tell it to every process and answer with it.

    Errors: IdempotencyConflict, and those of `make`.
    """
    async with control.session() as session:
        made, is_new = await make_once(session, idempotency, kind, make, secret=secret)
    if is_new:
        await feed.announce()
    return Response(made, status_code=CREATED, headers=None if secret is None else {"Cache-Control": "no-store"})


async def remember(
    session: AsyncSession,
    idempotency: Idempotency,
    *,
    operation_id: uuid.UUID | None = None,
    status: int | None = None,
    answer: dict[str, Any] | None = None,
) -> None:
    """Write down what the request under the claimed key led to; `answer` must hold no secret."""
    if idempotency.key is None:
        return
    query = update(IdempotencyRecord).where(
        IdempotencyRecord.actor == idempotency.actor, IdempotencyRecord.key == idempotency.key
    )
    await session.execute(query.values(operation_id=operation_id, status=status, answer=answer))
