"""What a browser's name for itself tells."""

import pytest

from app.ingest.enrichment.devices import Device, read_agent

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("system", "program", "wanted"),
    [
        ("Windows NT 10.0; Win64; x64", "Chrome/131.0.0.0 Safari/537.36", ("desktop", "Chrome", "Windows")),
        ("Macintosh; Intel Mac OS X 10_15_7", "Chrome/131.0 Safari/537.36 Edg/131.0", ("desktop", "Edge", "macOS")),
        ("X11; Linux x86_64; rv:130.0", "Gecko/20100101 Firefox/130.0", ("desktop", "Firefox", "Linux")),
        ("iPhone; CPU iPhone OS 17_5 like Mac OS X", "Version/17.5 Mobile/1 Safari/604.1", ("mobile", "Safari", "iOS")),
        ("iPad; CPU OS 16_6 like Mac OS X", "Version/16.6 Mobile/15E148 Safari/604.1", ("tablet", "Safari", "iOS")),
        ("Linux; Android 14; Pixel 8", "Chrome/131.0.0.0 Mobile Safari/537.36", ("mobile", "Chrome", "Android")),
        ("Linux; Android 13; SM-X700", "Chrome/131.0.0.0 Safari/537.36", ("tablet", "Chrome", "Android")),
        ("SMART-TV; Linux; Tizen 6.0", "Version/6.0 TV Safari/537.36", ("tv", "Safari", "Tizen")),
    ],
)
def test_a_browser_says_what_it_is(system: str, program: str, wanted: tuple[str, str, str]) -> None:
    found = read_agent(f"Mozilla/5.0 ({system}) {WEBKIT} {program}")
    assert (found.kind, found.browser, found.os, found.is_bot) == (*wanted, False)


def test_a_tool_that_somebody_uses_by_hand_is_no_bot() -> None:
    assert read_agent("curl/8.1.2") == Device(browser="curl")


@pytest.mark.parametrize(
    "agent",
    ["Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "ClaudeBot/1.0",
     "facebookexternalhit/1.1", f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/131.0.0.0 Safari/537.36",
     "my-own-crawler", "UptimeRobot/2.0",
     f"Mozilla/5.0 {WEBKIT}; compatible; GPTBot/1.2; +https://openai.com/gptbot)"],
)  # fmt: skip
def test_a_program_that_says_so_is_a_bot(agent: str) -> None:
    assert read_agent(agent) == Device(is_bot=True)


def test_who_says_nothing_is_nobody() -> None:
    assert read_agent("") == Device()
