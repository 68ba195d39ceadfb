"""The first calls of the README, run as they stand there against a whole server."""

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.supervisor import Supervisor
from tests.support.grove import grove_settings, own_database

README = Path(__file__).parents[2] / "README.md"


def first_calls(url: str, platform_key: str) -> str:
    """Take the calls out of the README and fill in what the demo would have printed."""
    calls: str
    (calls,) = re.findall(r"```sh\n(grove=.*?)```", README.read_text(), re.DOTALL)
    assert calls.count("http://127.0.0.1:8000") == calls.count("grv_p_…") == 1
    return calls.replace("http://127.0.0.1:8000", url).replace("grv_p_…", platform_key)


def run_first_calls(database_url: str, data_dir: Path) -> list[str]:
    """Start a server, run the calls and return the lines of what they answered."""
    settings = grove_settings(database_url, port=0, data_dir=data_dir)
    with Supervisor(settings, quiet=True) as running:
        assert running.platform_key is not None
        calls = first_calls(running.url, running.platform_key).replace("curl -sS", "curl -sS -w '\\n'")
        ran = subprocess.run(["bash", "-euo", "pipefail", "-c", calls], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_first_calls_onboard_a_client_and_read_its_funnel(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    async with own_database(postgres.url) as database_url:
        stored, funnel = await asyncio.to_thread(run_first_calls, database_url, tmp_path)

    assert json.loads(stored)["accepted"] == 3
    counts = {step["name"]: step["count"] for step in json.loads(funnel)["steps"]}
    assert (counts["pageLoads"], counts["widgetOpens"], counts["humanRequests"]) == (1, 1, 1)
