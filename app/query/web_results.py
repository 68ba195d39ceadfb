"""Make answers about web events from rows. Pure; called by the routes, with what `app.query.web` read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from app.query.spec import Period
from app.query.web_answers import (
    RealtimeAnswer,
    RecentAnswer,
    RecentGroup,
    SummaryAnswer,
    WebConversions,
    WebDay,
    WebGroup,
    WebMinute,
    WebPage,
    WebRevenue,
    WebTotals,
    percent,
)

Row = Mapping[str, Any]
# The dimensions of `visit_traits` that answers list, and what they call them.
GROUPS = {1: "countries", 2: "devices", 3: "browsers", 6: "channels", 7: "referrers"}


class SummaryRows(Struct, frozen=True, kw_only=True):
    """What a summary is made of; `totals` and `orders` are of the period and of the one before."""

    period: Period
    before: Period
    totals: Sequence[Row]
    orders: Sequence[Row]
    days: Sequence[Row]
    pages: Sequence[Row]
    groups: Sequence[Row]

    def answer(self) -> SummaryAnswer:
        """Put the summary together."""
        totals, previous = self.totals
        groups: dict[str, Any] = {
            name: [WebGroup(**_group(row, totals["sessions"])) for row in self.groups if row["dimension"] == dimension]
            for dimension, name in GROUPS.items()
        }
        return SummaryAnswer(
            **_total(self.period, totals, [row for row in self.orders if row["place"] == 1]),
            tz=self.period.zone.key,
            previous=WebTotals(**_total(self.before, previous, [row for row in self.orders if row["place"] != 1])),
            days=[WebDay(**dict(row)) for row in self.days],
            pages=[WebPage(**dict(row)) for row in self.pages],
            **groups,
        )


class RecentRows(Struct, frozen=True, kw_only=True):
    """What a realtime answer is made of; `parts` are of different kinds, each with its columns filled."""

    at: datetime
    parts: Sequence[Row]
    orders: Sequence[Row]

    def answer(self) -> RealtimeAnswer:
        """Put the answer together."""
        (total,) = self._of("all")
        recent = RecentAnswer(
            events=total["events"],
            page_views=total["views"],
            visitors=total["visitors"],
            sessions=total["sessions"],
            bounce_rate=percent(total["bounces"], total["sessions"]),
            average_duration_s=_average(total),
            conversions=_conversions(self.orders, total["converted"], total["sessions"]),
            minutes=[
                WebMinute(at=row["at"], events=row["events"], page_views=row["views"], visitors=row["visitors"])
                for row in self._of("minute")
            ],
            pages=[WebPage(page=row["name"], views=row["views"], visitors=row["visitors"]) for row in self._of("page")],
            **{
                name: [
                    RecentGroup(**_group(row, total["sessions"]), visitors=row["visitors"])
                    for row in self._of(str(dimension))
                ]
                for dimension, name in GROUPS.items()
            },
        )
        return RealtimeAnswer(at=self.at, visitors=total["active"], last_30_minutes=recent)

    def _of(self, part: str) -> list[Row]:
        return [row for row in self.parts if row["part"] == part]


def _total(period: Period, row: Row, orders: Sequence[Row]) -> dict[str, Any]:
    return {
        "from_at": period.from_at,
        "to_at": period.to_at,
        "events": row["events"],
        "page_views": row["page_views"],
        "visitors": row["visitors"],
        "sessions": row["sessions"],
        "bounce_rate": percent(row["bounces"], row["sessions"]),
        "average_duration_s": _average(row),
        "conversions": _conversions(orders, orders[0]["converted"], row["sessions"]),
    }


def _conversions(orders: Sequence[Row], converted: int, sessions: int) -> WebConversions:
    """Tell orders; the first row is of all of them."""
    return WebConversions(
        count=orders[0]["orders"],
        sessions=converted,
        rate=percent(converted, sessions),
        revenue=[
            WebRevenue(currency=row["currency"], orders=row["priced"], amount=float(row["amount"]))
            for row in orders[1:]
        ],
    )


def _group(row: Row, sessions: int) -> dict[str, Any]:
    return {
        "name": row["name"],
        "sessions": row["sessions"],
        "share": percent(row["sessions"], sessions),
        "bounce_rate": percent(row["bounces"], row["sessions"]),
        "average_duration_s": _average(row),
    }


def _average(row: Row) -> float:
    return round(float(row["seconds"]) / row["sessions"], 1) if row["sessions"] else 0.0
