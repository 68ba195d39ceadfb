"""`/problems/{slug}`: what the type of a problem means."""

from typing import Annotated

from litestar import MediaType, get
from litestar.params import FromPath

from app.problems import problem_page
from tenants.errors import NotFound


@get("/problems/{slug:str}", tags=["Operation"], summary="Explain a problem type", media_type=MediaType.JSON)
async def explain_problem(slug: FromPath[str]) -> dict[str, Annotated[str | int, None]]:
    """Return the status and the meaning of one `type` that error answers name."""
    kind = problem_page(slug)
    if kind is None:
        raise NotFound("No such problem type.")
    return {"type": f"/problems/{kind.slug}", "status": kind.status, "title": kind.title}


handlers = [explain_problem]
