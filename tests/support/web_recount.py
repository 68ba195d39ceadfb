"""Web events as they were told, and the answers about them counted slowly and obviously, in plain Python.

Used by tests that compare what the database answers; shares no code with `app.query`.
"""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest

STEPS = ("product_view", "add_to_cart", "purchase")
KINDS = ("channels", "referrers", "countries", "devices", "browsers")
SITE = "https://shop.example"
# Where a page was come to from: its URL's query, its referrer, and the channel and the site that this means.
WAYS: tuple[tuple[str, str | None, str, str | None], ...] = (
    ("", None, "direct", None),
    ("", "https://www.google.com/search?q=x", "organic search", "google.com"),
    ("", "https://Blog.example:8443/post", "referral", "blog.example"),
    ("", f"{SITE}/before", "internal", None),
    ("?utm_source=june&utm_medium=newsletter", "https://mail.example/", "email", "mail.example"),
    ("?gclid=x", f"{SITE}/before", "paid search", None),
)


class Told(NamedTuple):
    """An event as it was sent; without a way it was on no page of a site's."""

    at: datetime
    name: str
    visitor: str
    session: str
    page: str
    way: int | None = None
    country: str | None = None
    device: str | None = None
    order: str | None = None
    amount: int | None = None
    currency: str | None = None


def tell(now: datetime, count: int) -> list[Told]:
    """Make up events of fifty days, and many of the last hour."""
    rng = random.Random(7)  # noqa: S311 - to be repeatable, not to be secret
    minutes = [*rng.sample(range(50 * 24 * 60), count), *range(0, 60, 2)]
    return [
        Told(now - timedelta(minutes=at, milliseconds=place), rng.choice(("page_view", "page_view", *STEPS)),
             f"v{rng.randrange(40)}", f"s{at // 300}" if at > 90 else f"s-{at % 7}", f"/{rng.randrange(6)}",
             rng.choice((None, *range(len(WAYS)))), rng.choice((None, "DE", "FR")), rng.choice((None, "mobile")),
             f"o{rng.randrange(60)}", rng.choice((None, rng.randrange(1, 90))), rng.choice(("EUR", "CHF")))
        for place, at in enumerate(minutes)
    ]  # fmt: skip


def write(event: Told) -> dict[str, Any]:
    """Write an event as it is sent."""
    page: dict[str, Any] = {"path": event.page}
    if event.way is not None:
        query, referrer, *_ = WAYS[event.way]
        page = {"url": f"{SITE}{event.page}{query}", "referrer": referrer}
    order: dict[str, Any] = {}
    if event.name == "purchase" and event.order is not None:
        order = {"properties": {"order_id": event.order}, "amount": event.amount, "currency": event.currency}
    return {
        "name": event.name, "occurred_at": event.at.isoformat(), "visitor_id": event.visitor,
        "session_id": event.session, "page": page, "context": {"country": event.country, "device": event.device},
        **order,
    }  # fmt: skip


def sessions_of(events: Sequence[Told]) -> list[list[Told]]:
    """Gather events by session, each in order."""
    found: dict[str, list[Told]] = {}
    for event in sorted(events):
        found.setdefault(event.session, []).append(event)
    return list(found.values())


def describe(session: list[Told]) -> dict[str, str | None]:
    """Tell what a session is counted under, by KINDS; none is under nothing."""
    entry = session[0]
    _, _, channel, site = ("", None, "unknown", None) if entry.way is None else WAYS[entry.way]
    return {"channels": channel, "referrers": site, "countries": entry.country or "unknown",
            "devices": entry.device or "unknown", "browsers": "unknown"}  # fmt: skip


def orders_of(events: list[Told]) -> dict[str, Told]:
    """Find the telling of each order that counts, under the session that bought."""
    tellings: dict[str, list[Told]] = {}
    for event in events:
        if event.name == "purchase":
            tellings.setdefault(str(event.order), []).append(event)
    return {
        order: min(told, key=lambda event: (event.amount is None, event.at))._replace(
            session=min(event.session for event in told)
        )
        for order, told in tellings.items()
    }


def converted(events: list[Told], visits: list[list[Told]]) -> dict[str, Any]:
    """Count the orders of events, and those of these sessions that ordered."""
    orders = orders_of(events)
    buyers = {order.session for order in orders.values()} & {visit[0].session for visit in visits}
    priced = [order for order in orders.values() if order.amount is not None]
    revenue: list[dict[str, Any]] = [
        {
            "currency": currency,
            "orders": n,
            "amount": sum(each.amount or 0 for each in priced if each.currency == currency),
        }
        for currency, n in Counter(each.currency for each in priced).items()
    ]
    revenue.sort(key=lambda row: (-row["orders"], row["currency"]))
    return {
        "count": len(orders),
        "sessions": len(buyers),
        "rate": _percent(len(buyers), len(visits)),
        "revenue": revenue,
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2)


def _average(visits: list[list[Told]]) -> Any:
    return pytest.approx(sum((each[-1].at - each[0].at).total_seconds() for each in visits) / len(visits), abs=0.06)


def _bounces(visits: list[list[Told]]) -> float:
    return _percent(sum(Counter(event.name for event in visit)["page_view"] == 1 for visit in visits), len(visits))


def rank(counts: Counter[str]) -> list[tuple[str, int]]:
    """Find the ten most frequent."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:10]


def total(told: Sequence[Told], since: datetime, until: datetime) -> dict[str, Any]:
    """Count what happened in a period, and what became of the sessions that started in it."""
    events = [event for event in told if since <= event.at < until]
    visits = [visit for visit in sessions_of(told) if since <= visit[0].at < until]
    return {
        "from": since, "to": until, "events": len(events),
        "page_views": sum(event.name == "page_view" for event in events),
        "visitors": len({event.visitor for event in events}), "conversions": converted(events, visits), **went(visits),
    }  # fmt: skip


def went(visits: list[list[Told]]) -> dict[str, Any]:
    """Tell how sessions went."""
    return {"sessions": len(visits), "bounce_rate": _bounces(visits), "average_duration_s": _average(visits)}


def grouped(visits: list[list[Told]], kind: str) -> list[dict[str, Any]]:
    """Count sessions by one of KINDS."""
    by_name: dict[str, list[list[Told]]] = {}
    for visit in visits:
        name = describe(visit)[kind]
        if name is not None:
            by_name.setdefault(name, []).append(visit)
    return [
        {"name": name, "share": _percent(len(by_name[name]), len(visits)), **went(by_name[name])}
        for name, _ in rank(Counter({name: len(those) for name, those in by_name.items()}))
    ]  # fmt: skip


def minute(at: datetime, events: list[Told]) -> dict[str, Any]:
    """Count what happened in a minute."""
    within = [event for event in events if at <= event.at < at + timedelta(minutes=1)]
    return {"at": at, "events": len(within), "page_views": sum(event.name == "page_view" for event in within),
            "visitors": len({event.visitor for event in within})}  # fmt: skip


def there(visits: list[list[Told]], kind: str) -> list[dict[str, Any]]:
    """List the sessions' visitors, each of whom is that of its entry."""
    return [
        group | {"visitors": len({visit[0].visitor for visit in visits if describe(visit)[kind] == group["name"]})}
        for group in grouped(visits, kind)
    ]
