"""infra/compose.yaml as data, for tests of how Grove is run."""

import re
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = msgspec.yaml.decode((ROOT / "infra/compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def fill_in(text: str) -> str:
    """Put something in place of a value's variables: their default, or letters."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    filled = re.sub(r"\$\{\w+:\?[^}]*\}", "x" * 32, text)
    return f"https://{filled}" if filled == "x" * 32 else filled
