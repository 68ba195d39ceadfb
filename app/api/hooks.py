"""`POST /hooks/{source_id}`: where webhooks are delivered. `app.api.hook_docs` describes it to OpenAPI."""

from functools import partial
from uuid import UUID

from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.types import ASGIApp

from app.ingest.hooks.receiver import Receiver


@post("/hooks/{source_id:uuid}", include_in_schema=False)
async def receive_hook(source_id: FromPath[UUID], receiver: NamedDependency[Receiver]) -> ASGIApp:
    """Hand a delivery over to the process's `Receiver`, which needs its body as it came."""
    return partial(receiver.take, source_id)


handlers = [receive_hook]
