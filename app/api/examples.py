"""What an example of the API's documentation is made of."""

from typing import Any

import msgspec


class Examples(msgspec.Struct, frozen=True):
    """What an operation may be sent and what it then answers, by status; answers that are no JSON are text."""

    answers: dict[str, Any]
    body: Any = None
