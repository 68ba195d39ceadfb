"""Where visits come from."""

import pytest

from app.ingest.enrichment.channels import Origin, find_origin, find_site

PAGE = "https://www.shop.example/p"


@pytest.mark.parametrize(
    ("referrer", "source", "medium", "wanted"),
    [
        (None, None, None, Origin("direct")),
        ("https://www.google.co.uk/", None, None, Origin("organic search", "Google")),
        ("https://duckduckgo.com/?q=shoes", None, None, Origin("organic search", "DuckDuckGo")),
        ("https://mail.google.com/mail", None, None, Origin("email")),
        ("https://gemini.google.com/", None, None, Origin("ai assistant")),
        ("https://l.facebook.com/l.php", None, None, Origin("organic social")),
        ("https://www.youtube.com/watch", None, None, Origin("organic video")),
        ("https://blog.example/post", None, None, Origin("referral")),
        ("https://shop.example/other", None, None, Origin()),
        ("https://www.google.com/", "google", "cpc", Origin("paid search", "Google")),
        (None, "facebook", "cpc", Origin("paid social")),
        (None, "newsletter", "Email", Origin("email")),
        (None, "news", None, Origin("campaign")),
        (None, "Instagram", None, Origin("organic social")),
        (None, "partner", "affiliate", Origin("affiliate")),
        (None, "x", "banner", Origin("display")),
        (None, None, "something", Origin("campaign")),
        ("http://[broken", None, None, Origin("direct")),
    ],
)  # fmt: skip
def test_a_visit_has_a_channel(referrer: str | None, source: str | None, medium: str | None, wanted: Origin) -> None:
    assert find_origin(PAGE, referrer, source, medium) == wanted


@pytest.mark.parametrize("mark", ["gclid", "msclkid", "wbraid"])
def test_the_mark_of_a_paid_click_counts_without_a_campaign(mark: str) -> None:
    assert find_origin(f"{PAGE}?a=1&{mark}=x#t", "https://www.bing.com/", None, None) == Origin("paid search", "Bing")


def test_a_mark_that_only_looks_like_one_does_not() -> None:
    assert find_origin(f"{PAGE}?fbclid=x", None, None, None) == Origin("direct")


@pytest.mark.parametrize("host", ["google.evil.example", "notgoogle.com", "", "com", "netflix.com"])
def test_a_host_that_only_sounds_like_a_well_known_one_is_none(host: str) -> None:
    assert find_site(host) is None
