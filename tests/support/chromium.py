"""The Chromium of this machine, driven as a visitor's browser.

`async with open_chromium() as chromium: page = await chromium.new_page()`
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 30_000
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
needs_chromium = pytest.mark.skipif(
    not CHROMIUM.exists(), reason="no Chromium; `make tools` installs it where that is possible"
)


@asynccontextmanager
async def open_chromium(*arguments: str) -> AsyncIterator[Browser]:
    """Start a browser; the arguments are added to those that every test has."""
    async with async_playwright() as tools:
        browser = await tools.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *arguments])
        yield browser
        await browser.close()
