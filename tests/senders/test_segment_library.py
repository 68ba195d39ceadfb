"""Segment's own library for Node, given another host and a key of Grove's: everything that it says is stored."""

import asyncio
import json
import os
import shutil
import uuid
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tenants.clock import utc_now
from tests.support.servers import Client

SCRIPT = Path(__file__).with_name("segment.mjs")
INSTALLED = Path(__file__).parents[2] / "sdk" / "node_modules" / "@segment"


@pytest.mark.skipif(
    shutil.which("node") is None or not INSTALLED.exists(),
    reason="no node, or no `npm ci` in sdk/; `make tools` does both where that is possible",
)
async def test_all_that_the_library_says_is_stored(client: Client) -> None:
    user, at = f"u-{uuid.uuid4()}", utc_now().replace(microsecond=0) - timedelta(hours=1)
    process = await asyncio.create_subprocess_exec(
        *("node", str(SCRIPT)),
        env=dict(os.environ)  # noqa: TID251 - handed on
        | {
            "GROVE_URL": f"http://127.0.0.1:{client.port}",
            "GROVE_KEY": client.key["Authorization"].removeprefix("Bearer "),
            "SAY_AT": at.isoformat(),
            "SAY_USER": user,
        },
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()

    rows = await client.fetch("SELECT * FROM {schema}.events WHERE user_id = $1 ORDER BY name", user)
    assert [row["name"] for row in rows] == ["group", "identify", "identify", "page_view", "purchase", "screen_view"]
    # Put right by how long the message was on its way.
    assert all(at <= row["occurred_at"] < at + timedelta(minutes=1) for row in rows)
    group, _, _, page, purchase, _ = rows
    assert (purchase["amount"], purchase["currency"]) == (Decimal("49.9"), "EUR")
    assert (page["page_path"], page["utm_source"]) == ("/a", "mail")
    assert json.loads(group["properties"])["group_id"] == "g-1"
