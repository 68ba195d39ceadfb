"""List rows page by page in the order in which they were made.

Called by the stores of keys, tokens, people, schemas, adaptors and webhook sources.
"""

import uuid
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, func
from sqlalchemy.orm import InstrumentedAttribute

Place = tuple[datetime, uuid.UUID]
Query = TypeVar("Query", bound=Select[Any])


def oldest_first(
    query: Query,
    made_at: InstrumentedAttribute[datetime],
    row_id: InstrumentedAttribute[uuid.UUID],
    *,
    limit: int,
    after: Place | None,
) -> Query:
    """Order rows by when they were made; `after` is the place of the last one that was already seen."""
    if after is not None:
        query = query.where(func.row(made_at, row_id) > func.row(*after))
    return query.order_by(made_at, row_id).limit(limit)
