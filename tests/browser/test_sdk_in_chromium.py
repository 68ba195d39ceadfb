"""The SDK in a real browser, on a site with a strict policy: what it sends, what it keeps, and what it does not."""

import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from playwright.async_api import Browser, BrowserContext, Page

from tests.support.chromium import PATIENCE_MS, needs_chromium, open_chromium
from tests.support.loopback import Answer
from tests.support.tracked import KEY, Tracked, open_tracked

pytestmark = needs_chromium
# The second part is there, and what it watches is heard of.
WATCHING = "() => performance.getEntriesByName(document.scripts[0].src.replace(/[^/]*$/, 'sdk-more.js')).length > 0"
STORED = "() => [{...localStorage}, {...sessionStorage}]"
REFUSALS = {
    "dnt": "Object.defineProperty(Navigator.prototype, 'doNotTrack', {get: () => '1'})",
    "gpc": "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})",
}


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """A browser."""
    async with open_chromium() as browser:
        yield browser


@pytest.fixture
async def tracked() -> AsyncIterator[Tracked]:
    """A site and its collector."""
    async with open_tracked() as opened:
        yield opened


@pytest.fixture
async def context(chromium: Browser) -> AsyncIterator[BrowserContext]:
    """A visitor who was never here."""
    context = await chromium.new_context(viewport={"width": 800, "height": 1000})
    context.set_default_timeout(PATIENCE_MS)
    yield context
    assert await context.cookies() == []
    await context.close()


@pytest.fixture
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """A tab in which nothing may go wrong but what a test does on purpose."""
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None)
    yield page
    assert complaints == []


async def open_watched(page: Page, url: str) -> None:
    """Open a page and wait until the second part watches it."""
    await page.goto(url)
    await page.wait_for_function(WATCHING)
    await page.wait_for_load_state("networkidle")


async def test_a_page_view_tells_where_and_from_where(page: Page, tracked: Tracked) -> None:
    tracked.add("/from", '<a href="/?utm_source=paper&email=ana@shop.example">in</a>')
    tracked.add("/")
    await page.goto(f"{tracked.url}/from")
    await page.click("a")
    await page.wait_for_url(f"{tracked.url}/?*")

    view = await tracked.collector.expect("page_view", 2)

    assert view["page"] == {
        "url": f"{tracked.url}/?utm_source=paper&email=REDACTED",
        "title": "Shop",
        "referrer": f"{tracked.url}/from",
    }
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", view["event_id"])
    assert not view.keys() & {"session_id", "visitor_id", "user_id"}


async def test_a_site_of_before_needs_no_change(page: Page, tracked: Tracked) -> None:
    url = tracked.add(
        "/", script="/analytics-sdk.js", api_url=f"{tracked.collector.url}/api/v1/analytics", auto_track="true"
    )
    await page.goto(url)
    await page.evaluate(
        """() => {
            ecomDashAnalytics.event("newsletter_signup", { source: "footer" });
            ecomDashAnalytics.identify("user_7", { plan: "gold" });
            ecomDashAnalytics.trackEcommerce("purchase", { order_id: "o-1", order_value: 19.9, order_currency: "EUR" });
            ecomDashAnalytics.page("/thanks");
        }"""
    )

    thanks = await tracked.collector.expect("page_view", 2)
    sent = {event["name"]: event for event in tracked.collector.events()}

    assert sent["newsletter_signup"]["properties"] == {"source": "footer"}
    assert "user_id" not in sent["newsletter_signup"]
    assert (sent["identify"]["user_id"], sent["identify"]["properties"]) == ("user_7", {"plan": "gold"})
    assert (sent["purchase"]["amount"], sent["purchase"]["currency"]) == (19.9, "EUR")
    assert (sent["purchase"]["category"], sent["purchase"]["user_id"]) == ("ecommerce", "user_7")
    assert thanks["page"] == {"url": "/thanks"}


async def test_orders_whose_ids_might_be_cards_stay_apart(page: Page, tracked: Tracked) -> None:
    await page.goto(tracked.add("/"))
    await page.evaluate(
        """() => grove.trackEcommerce("purchase", {
            order_id: 1795261409126, items: [{ sku: "4006381334013", note: "4111111111111111" }] })"""
    )

    order = await tracked.collector.expect("purchase")

    items = [{"sku": "4006381334013", "note": "REDACTED"}]
    assert order["properties"] == {"order_id": 1795261409126, "items": items}


async def test_nobody_is_identified_by_nothing(page: Page, tracked: Tracked) -> None:
    await page.goto(tracked.add("/"))
    await page.evaluate("for (const id of [undefined, null, '']) { grove.identify(id, { a: 1 }); grove.event('out') }")
    await page.evaluate("grove.identify(0); grove.event('in'); grove.identify(null); grove.event('left')")
    await tracked.collector.expect("left")

    sent = [(event["name"], event.get("user_id")) for event in tracked.collector.events()]
    assert sent == [("page_view", None), *[("out", None)] * 3, ("identify", "0"), ("in", "0"), ("left", None)]


@pytest.mark.parametrize(
    ("said", "money"),
    [
        ({"total": 59, "currency": "EUR"}, {"amount": 59, "currency": "EUR"}),
        ({"order_value": 0, "value": 5, "order_currency": "eur"}, {"amount": 0, "currency": "EUR"}),
        ({"revenue": "59.90", "currency": "Usd"}, {"amount": "59.90", "currency": "USD"}),
        ({"value": "high", "order_total": -3}, {"amount": -3}),
        ({"amount": 7.5, "order_value": None, "total": ""}, {"amount": 7.5}),
        ({"total": "12,50", "revenue": True, "currency": "euros"}, {}),
        (None, {}),
    ],
)
async def test_what_a_shop_earns_is_read_from_whatever_it_calls_it(
    page: Page, tracked: Tracked, said: dict[str, Any] | None, money: dict[str, Any]
) -> None:
    await page.goto(tracked.add("/"))
    await page.evaluate("(said) => grove.trackEcommerce('purchase', said ?? undefined)", said)

    order = await tracked.collector.expect("purchase")

    assert {name: order[name] for name in ("amount", "currency") if name in order} == money
    assert order["properties"] == (said or {})


async def test_clicks_tell_what_was_clicked_and_whether_it_leads_away(page: Page, tracked: Tracked) -> None:
    body = '<button id="buy"><b> Buy </b>now</button><a href="https://other.example/">Out</a><p id="text">Text</p>'
    await open_watched(page, tracked.add("/", body))
    await page.evaluate("document.querySelector('a').addEventListener('click', (click) => click.preventDefault())")
    for selector in ("#text", "b", "a"):
        await page.click(selector)

    out = await tracked.collector.expect("external_link_click")
    click = await tracked.collector.expect("click")

    assert click["properties"] == {"tag": "button", "id": "buy", "text": "Buy now"}
    assert out["properties"] == {"tag": "a", "text": "Out", "href": "https://other.example/"}


async def test_of_a_form_only_what_is_marked_is_sent(page: Page, tracked: Tracked) -> None:
    body = """<form id="order" action="/done"><input name="id" value="private">
        <input name="size" data-grove-value><input name="pin" type="password" data-grove-value>
        <input name="note" data-grove-value><input type="radio" name="ship" value="slow" data-grove-value>
        <input type="radio" name="ship" value="fast" data-grove-value><button>Send</button></form>"""
    tracked.add("/done")
    await open_watched(page, tracked.add("/", body))
    await page.fill("[name=size]", "42")
    await page.fill("[name=pin]", "sesame")
    await page.fill("[name=note]", "card 4111 1111 1111 1111, ana@shop.example")
    await page.check("[value=fast]")
    await page.click("button")

    form = await tracked.collector.expect("form_submit")

    assert form["properties"]["form"] == "order"
    values = form["properties"]["values"]
    assert values == {"size": "42", "ship": "fast", "note": "card REDACTED, REDACTED"}
    assert b"private" not in b"".join(post.content for post in tracked.collector.posts)


async def test_each_quarter_of_a_page_is_told_once(page: Page, tracked: Tracked) -> None:
    await open_watched(page, tracked.add("/", '<div id="tall"></div>'))
    await page.evaluate("document.getElementById('tall').style.height = '4000px'")
    for y in (1200, 300, 9000):
        await page.evaluate("(y) => scrollTo(0, y)", y)
        await page.evaluate("() => new Promise(requestAnimationFrame)")

    await tracked.collector.expect("scroll_depth", 4)

    assert [event["properties"]["depth"] for event in tracked.collector.events("scroll_depth")] == [25, 50, 75, 100]


async def test_errors_are_told_without_what_is_private_and_not_without_end(page: Page, tracked: Tracked) -> None:
    faulty = b"""
        setTimeout(() => { throw new Error("no mail for ana@shop.example"); });
        setTimeout(() => Promise.reject(new Error("refused")));
        setTimeout(() => { for (let i = 0; i < 20; i++) setTimeout(() => { throw new Error("again"); }); }, 50);
    """
    tracked.pages["/faulty.js"] = Answer(200, content=faulty, headers={"content-type": "text/javascript"})
    await open_watched(page, tracked.add("/"))
    await page.add_script_tag(url=f"{tracked.url}/faulty.js")

    await tracked.collector.expect("error", 10)
    errors = [event["properties"] for event in tracked.collector.events("error")]

    messages = [error["message"] for error in errors]
    assert messages == ["Uncaught Error: no mail for REDACTED", "refused", *["Uncaught Error: again"] * 8]
    assert errors[0]["source"] == f"{tracked.url}/faulty.js"
    assert errors[0]["line"] == 2


@pytest.mark.parametrize("way", ["pushState", "replaceState"])
async def test_single_page_navigation_opens_pages(page: Page, tracked: Tracked, way: str) -> None:
    await page.goto(tracked.add("/"))
    await tracked.collector.expect("page_view")
    await page.evaluate(
        "(way) => { history[way]({}, '', '/goods/1'); document.title = 'Goods'; history[way]({}, '', '#reviews') }", way
    )

    view = await tracked.collector.expect("page_view", 2)

    assert view["page"] == {"url": f"{tracked.url}/goods/1#reviews", "title": "Goods", "referrer": f"{tracked.url}/"}


async def test_a_page_opened_before_the_second_part_is_there_is_not_missed(page: Page, tracked: Tracked) -> None:
    early = Answer(200, content=b"history.replaceState({}, '', '/home')", headers={"content-type": "text/javascript"})
    tracked.pages["/early.js"] = early
    await page.goto(tracked.add("/", '<script src="/early.js"></script>'))

    view = await tracked.collector.expect("page_view", 2)

    assert view["page"] == {"url": f"{tracked.url}/home", "title": "Shop", "referrer": f"{tracked.url}/"}


async def test_going_back_in_a_single_page_site_opens_the_page_before(page: Page, tracked: Tracked) -> None:
    await page.goto(tracked.add("/"))
    await page.evaluate("history.pushState({}, '', '/goods')")
    await tracked.collector.expect("page_view", 2)
    await page.go_back()

    view = await tracked.collector.expect("page_view", 3)

    assert view["page"] == {"url": f"{tracked.url}/", "title": "Shop", "referrer": f"{tracked.url}/goods"}


async def test_a_page_shown_again_from_memory_is_opened_once_more(page: Page, tracked: Tracked) -> None:
    await open_watched(page, tracked.add("/"))
    await page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")

    await tracked.collector.expect("page_view", 2)


async def test_what_happens_offline_is_sent_when_the_network_is_back(
    page: Page, context: BrowserContext, tracked: Tracked
) -> None:
    await open_watched(page, tracked.add("/"))
    await tracked.collector.expect("page_view")
    await context.set_offline(True)
    await page.evaluate("for (let n = 0; n < 45; n++) grove.event('saved', { n })")
    await page.wait_for_timeout(1500)
    assert tracked.collector.events("saved") == []
    await context.set_offline(False)

    await tracked.collector.expect("saved", 45)

    assert {event["properties"]["n"] for event in tracked.collector.events("saved")} == set(range(45))
    assert max(len(msgspec.json.decode(post.content)) for post in tracked.collector.posts) == 20
    await page.wait_for_function("() => localStorage.length === 0")


async def test_what_could_not_be_sent_survives_a_reload_even_in_strict_mode(page: Page, tracked: Tracked) -> None:
    tracked.collector.away = True
    await page.goto(tracked.add("/", privacy="strict"))
    await page.evaluate("grove.event('saved', { by: 'the queue' })")
    async with page.expect_event("requestfailed"):
        pass
    await page.reload()
    kept, _ = await page.evaluate(STORED)
    assert {msgspec.json.decode(text)["name"] for text in kept.values()} == {"page_view", "saved", "web_vitals"}
    assert all(key.startswith(f"grove:{KEY}:") for key in kept)
    assert all(not msgspec.json.decode(text).keys() & {"session_id", "visitor_id"} for text in kept.values())
    tracked.collector.away = False

    saved = await tracked.collector.expect("saved")

    assert saved["properties"] == {"by": "the queue"}
    await page.wait_for_function("() => localStorage.length === 0")
    assert len(tracked.collector.events("page_view")) == 2


async def test_strict_keeps_of_waiting_events_nothing_that_tells_of_whom(page: Page, tracked: Tracked) -> None:
    tracked.collector.away = True
    await page.goto(tracked.add("/", privacy="strict"))
    async with page.expect_event("requestfailed"):
        await page.evaluate("grove.identify('user-7', { plan: 'gold' }); grove.event('saved')")
    kept, _ = await page.evaluate(STORED)
    assert {msgspec.json.decode(text)["name"] for text in kept.values()} == {"page_view", "identify", "saved"}
    assert "user" not in str(kept)
    tracked.collector.away = False

    assert (await tracked.collector.expect("saved"))["user_id"] == "user-7"


@pytest.mark.parametrize("answer", [None, 503, 429])
async def test_what_is_sent_again_is_the_same_to_the_byte(page: Page, tracked: Tracked, answer: int | None) -> None:
    tracked.collector.answers = [answer]
    await page.goto(tracked.add("/"))

    again = await tracked.collector.expect("page_view", 2)

    assert tracked.collector.posts[0].content == tracked.collector.posts[1].content
    assert tracked.collector.events()[0] == again


@pytest.mark.parametrize("answer", [400, 401, 403])
async def test_what_is_refused_for_good_is_not_sent_again(page: Page, tracked: Tracked, answer: int) -> None:
    tracked.collector.answers = [answer]
    await page.goto(tracked.add("/"))
    await tracked.collector.expect("page_view")
    await page.wait_for_function("() => localStorage.length === 0")
    await page.evaluate("grove.event('later')")
    await tracked.collector.expect("later")

    assert len(tracked.collector.events("page_view")) == 1


async def test_leaving_hands_over_to_the_browser_what_waits(page: Page, tracked: Tracked) -> None:
    tracked.add("/next", auto_track="false")
    await open_watched(page, tracked.add("/", "<button>Stay</button>"))
    await tracked.collector.expect("page_view")
    await page.click("button")
    await page.evaluate("grove.event('last_words')")
    await page.goto(f"{tracked.url}/next")

    await tracked.collector.expect("last_words")
    vitals = await tracked.collector.expect("web_vitals")

    # What is fetched asks for an answer, a beacon for none.
    modes = {
        event["name"]: post.headers["sec-fetch-mode"]
        for post in tracked.collector.posts
        for event in msgspec.json.decode(post.content)
    }
    assert modes == {"page_view": "cors", "click": "no-cors", "last_words": "no-cors", "web_vitals": "no-cors"}
    assert 0 < vitals["properties"]["lcp"] < 60_000
    assert 0 <= vitals["properties"]["cls"] < 1
    assert vitals["properties"]["inp"] >= 0
    assert vitals["properties"]["fid"] >= 0
    assert vitals["page"]["url"] == f"{tracked.url}/"
    assert await page.evaluate("() => localStorage.length") == 0


async def test_leaving_while_an_answer_is_awaited_hands_over_what_came_since(page: Page, tracked: Tracked) -> None:
    tracked.collector.answering.clear()
    await open_watched(page, tracked.add("/"))
    await tracked.collector.expect("page_view")
    await page.evaluate("grove.event('last_words')")
    await page.goto("about:blank")

    await tracked.collector.expect("last_words")
    await tracked.collector.expect("web_vitals")
    tracked.collector.answering.set()


async def test_shifting_is_measured(page: Page, tracked: Tracked) -> None:
    await open_watched(page, tracked.add("/", '<div id="late"></div><p>Text</p>'))
    await page.wait_for_timeout(600)
    await page.evaluate("document.getElementById('late').style.height = '400px'")
    await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    await page.goto("about:blank")

    vitals = await tracked.collector.expect("web_vitals")

    assert vitals["properties"]["cls"] > 0


@pytest.mark.parametrize("privacy", ["strict", "nonsense", None])
async def test_strict_keeps_no_identifier(page: Page, tracked: Tracked, privacy: str | None) -> None:
    given = {} if privacy is None else {"privacy": privacy}
    await page.goto(tracked.add("/", **given))
    view = await tracked.collector.expect("page_view")
    await page.wait_for_function("() => localStorage.length === 0")

    assert not view.keys() & {"session_id", "visitor_id"}
    assert await page.evaluate(STORED) == [{}, {}]


async def test_balanced_keeps_one_identifier_per_tab(page: Page, context: BrowserContext, tracked: Tracked) -> None:
    url = tracked.add("/", privacy="balanced")
    await page.goto(url)
    await tracked.collector.expect("page_view")
    await page.reload()
    await tracked.collector.expect("page_view", 2)
    await (await context.new_page()).goto(url)
    await tracked.collector.expect("page_view", 3)
    await page.wait_for_function("() => localStorage.length === 0")

    first, again, other = [event["session_id"] for event in tracked.collector.events("page_view")]
    assert first == again != other
    local, session = await page.evaluate(STORED)
    assert local == {}
    assert re.fullmatch(rf"{first},\d{{13}}", session.pop("grove_id"))
    assert session == {}
    assert not any("visitor_id" in event for event in tracked.collector.events())


async def test_balanced_begins_another_session_after_half_an_hour_without_an_event(
    page: Page, tracked: Tracked
) -> None:
    url = tracked.add("/", privacy="balanced")
    await page.goto(url)
    await tracked.collector.expect("page_view")
    later = "(minutes) => { const now = Date.now; Date.now = () => now() + minutes * 60_000; grove.event('later') }"
    for minutes in (29, 29, 31, 1):
        await page.evaluate(later, minutes)
    await tracked.collector.expect("later", 4)

    (first,) = {event["session_id"] for event in tracked.collector.events("page_view")}
    same, still, other, on = [event["session_id"] for event in tracked.collector.events("later")]
    assert first == same == still != other == on
    # The tab slept for longer than that, and goes on.
    await page.evaluate("sessionStorage.grove_id = sessionStorage.grove_id.replace(/,.*/, ',1795261409121')")
    await page.reload()
    view = await tracked.collector.expect("page_view", 2)
    assert view["session_id"] not in {first, other}


async def test_off_keeps_one_identifier_per_browser_until_the_mode_changes(
    page: Page, context: BrowserContext, tracked: Tracked
) -> None:
    url = tracked.add("/", privacy="off")
    await page.goto(url)
    await tracked.collector.expect("page_view")
    other = await context.new_page()
    await other.goto(url)
    await tracked.collector.expect("page_view", 2)
    await page.wait_for_function("() => localStorage.length === 1")

    first, again = [event["visitor_id"] for event in tracked.collector.events("page_view")]
    assert first == again
    assert await page.evaluate(STORED) == [{"grove_id": first}, {}]
    await page.goto(tracked.add("/", privacy="strict"))
    await tracked.collector.expect("page_view", 3)
    assert "grove_id" not in (await page.evaluate(STORED))[0]


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_whoever_asks_not_to_be_tracked_is_not(
    page: Page, context: BrowserContext, tracked: Tracked, refusal: str
) -> None:
    url = tracked.add("/", "<button>Buy</button>", privacy="off")
    await page.goto(url)
    await tracked.collector.expect("page_view")
    await context.add_init_script(refusal)
    await page.goto(url)
    await page.click("button")
    await page.evaluate("grove.event('bought'); grove.identify('u'); grove.trackEcommerce('purchase'); grove.page()")
    sent = len(tracked.collector.events())
    await page.wait_for_timeout(1500)
    await page.goto("about:blank")
    await page.goto(url)

    assert await page.evaluate(STORED) == [{}, {}]
    assert len(tracked.collector.events()) == sent
    assert {event["name"] for event in tracked.collector.events()} <= {"page_view", "web_vitals"}


async def test_automatic_tracking_can_be_switched_off(page: Page, tracked: Tracked) -> None:
    await page.goto(tracked.add("/", "<button>Buy</button>", auto_track="false"))
    await page.click("button")
    await page.evaluate("grove.event('bought')")
    await tracked.collector.expect("bought")

    assert [event["name"] for event in tracked.collector.events()] == ["bought"]


async def test_a_tag_file_brings_options_and_rules_with_both_parts(page: Page, tracked: Tracked) -> None:
    options: dict[str, Any] = {
        "apiKey": KEY, "apiUrl": tracked.collector.url, "more": "", "privacy": "balanced",
        "rules": {"auto_page_view": False, "track_clicks": False},
        "select": [{"selector": ".product-card", "event": "product_view", "types": {"price": "number"}}],
    }  # fmt: skip
    scripts = tracked.collector.scripts
    head = b"window.groveConfig=" + msgspec.json.encode(options) + b";"
    scripts["/tag/abc.js"] = b"\n".join([head, scripts["/sdk.js"], scripts["/sdk-more.js"]])
    card = '<div class="product-card" data-product-id="007" data-price="12.50" data-owner-email="a@b.example">'
    await page.goto(tracked.add("/", f"{card}<button>Look</button></div>", script="/tag/abc.js", api_key=""))
    await page.click("button")

    view = await tracked.collector.expect("product_view")

    assert view["properties"] == {"product_id": "007", "price": 12.5, "owner_email": "REDACTED"}
    assert "session_id" in view
    assert {event["name"] for event in tracked.collector.events()} == {"product_view"}
