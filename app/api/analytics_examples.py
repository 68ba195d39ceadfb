"""Examples of the answers of the chatbot analytics paths, for the API's documentation.

Read by `app.api.analytics`; made by the code that makes the answers, so that they cannot tell another story.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.query.answers import CheckAnswer, TableCheck
from app.query.results import COUNTS, make_daily, make_funnel, make_hourly, make_leads, make_session
from app.query.spec import Period
from tenants.relations import OWN_SHAPE

_CLIENT = "maple"
_START = datetime(2026, 11, 2, 23, tzinfo=UTC)
_PERIOD = Period(from_at=_START, to_at=_START + timedelta(days=2), zone=ZoneInfo("Europe/Berlin"))
_COUNTS = dict(zip(COUNTS, (1200, 1180, 412, 96, 41, 30, 19), strict=True))
_LEADS: list[dict[str, Any]] = [
    {"kind": "day", "day": 1, "source": None, "n": 12},
    {"kind": "source", "day": None, "source": "widget", "n": 12},
    {"kind": "sessions", "day": None, "source": None, "n": 1200},
    {"kind": "converted", "day": None, "source": None, "n": 11},
]
_SESSION = {
    "session_id": "s-7f3a",
    "started_at": _START,
    "ended_at": _START + timedelta(seconds=95),
    "page_loaded": _START,
    "widget_opened": _START + timedelta(seconds=12),
    "requested_human": _START + timedelta(seconds=70),
    "pressed_accept": _START + timedelta(seconds=88),
    "pressed_callback": None,
    "pressed_continue": None,
}

EXAMPLES: dict[str, Any] = {
    "funnel": make_funnel(_CLIENT, _PERIOD, _COUNTS),
    "daily": make_daily(_CLIENT, _PERIOD, [{"day": 1, **_COUNTS}]),
    "hourly": make_hourly(_CLIENT, _PERIOD, [{"hour": 14, **_COUNTS}]),
    "leads": make_leads(_CLIENT, _PERIOD, _LEADS, OWN_SHAPE),
    "sessions": {
        "clientId": _CLIENT,
        "from": _PERIOD.from_at,
        "to": _PERIOD.to_at,
        "tz": _PERIOD.zone.key,
        "data": [make_session(_SESSION)],
        "meta": {"next": None},
    },
    "test": CheckAnswer(
        client_id=_CLIENT,
        placement="database",
        tz="Europe/Berlin",
        source_timezone="UTC",
        ok=True,
        reachable=True,
        latency_ms=0.42,
        tables=[
            TableCheck(name="UserEvents", required=True, found=True, rows=48_210, newest=_START, remarks=[]),
            TableCheck(name="Leads", required=False, found=True, rows=911, newest=_START, remarks=[]),
            TableCheck(name="ChatLog", required=False, found=True, rows=0, newest=None, remarks=[]),
            TableCheck(name="AgentConnection", required=False, found=True, rows=0, newest=None, remarks=[]),
        ],
        newest_event=_START,
        problem=None,
    ),
}
