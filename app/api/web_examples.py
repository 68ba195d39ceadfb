"""Examples of answers about web events, made the way real ones are."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app.query.spec import Period, period_before
from app.query.web_answers import WebFunnelAnswer
from app.query.web_results import GROUPS, RecentRows, SummaryRows

_NOW = datetime(2026, 11, 4, 9, tzinfo=UTC)
_PERIOD = Period(from_at=_NOW - timedelta(days=1), to_at=_NOW, zone=ZoneInfo("Europe/Berlin"))
_TOTALS = {"events": 5200, "page_views": 3100, "visitors": 790, "sessions": 910, "bounces": 364, "seconds": 86541}
_NAMES = {1: "DE", 2: "mobile", 3: "Firefox", 6: "organic search", 7: "google.com"}

SUMMARY = SummaryRows(
    period=_PERIOD,
    before=period_before(_PERIOD),
    totals=[_TOTALS, _TOTALS | {"visitors": 702, "sessions": 815}],
    orders=[
        {"place": 1, "orders": 41, "converted": 40},
        {"place": 1, "currency": "EUR", "priced": 38, "amount": 2914.5},
        {"place": 1, "currency": "CHF", "priced": 3, "amount": 177},
        {"place": 2, "orders": 39, "converted": 39},
        {"place": 2, "currency": "EUR", "priced": 39, "amount": 3120},
    ],
    days=[{"day": _PERIOD.from_at.date(), "events": 5200, "page_views": 3100, "visitors": 790}],
    pages=[{"page": "/pricing", "views": 410, "visitors": 302}],
    groups=[
        {"dimension": dimension, "name": _NAMES[dimension], "sessions": 455, "bounces": 182, "seconds": 43270}
        for dimension in GROUPS
    ],
).answer()

REALTIME = RecentRows(
    at=_NOW,
    parts=[
        {"part": "all", "events": 210, "views": 96, "visitors": 41, "sessions": 43, "bounces": 15, "seconds": 4210,
         "active": 12, "converted": 2},
        {"part": "minute", "at": _NOW - timedelta(minutes=30), "events": 7, "views": 3, "visitors": 3},
        {"part": "page", "name": "/pricing", "views": 18, "visitors": 15},
        *(
            {"part": str(dimension), "name": name, "sessions": 20, "bounces": 8, "seconds": 1930, "visitors": 19}
            for dimension, name in _NAMES.items()
        ),
    ],
    orders=[{"orders": 2}, {"currency": "EUR", "priced": 2, "amount": 118.9}],
).answer()  # fmt: skip

FUNNEL = WebFunnelAnswer.of(("product_view", "add_to_cart", "purchase"), (640, 150, 41))
