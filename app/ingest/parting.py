"""Store apart what cannot be stored together, since the database refuses some of it.

Called by the group commit with the requests of such a flush, and functions that store some of them: those who sent
nothing of the kind do not wait for those who did.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from app.ingest.flush import Unstorable


class Sized(Protocol):
    """A request that waits; `size` tells how many events it brought."""

    size: int


_Waiting = TypeVar("_Waiting", bound=Sized)
Store = Callable[[Sequence[_Waiting]], Awaitable[None]]


async def store_apart(waiting: Sequence[_Waiting], store: Store[_Waiting], sift: Store[_Waiting]) -> None:
    """Store requests of which all together were refused: by halves those that can be, and then sift what is left.

    Shape: the smallest is sifted first, because it takes the least time.
    Errors: whatever `store` and `sift` raise, except Unstorable of the former; the rest is not stored then.
    """
    refused, left = deque([waiting]), list[_Waiting]()
    while refused:
        part = refused.popleft()
        if len(part) == 1:
            left += part
            continue
        middle = len(part) // 2
        for half in (part[:middle], part[middle:]):
            try:
                await store(half)
            except Unstorable:
                refused.append(half)
    for each in sorted(left, key=lambda each: each.size):
        await sift([each])
