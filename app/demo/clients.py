"""Who the demo's clients are: a chatbot company, a portfolio site and a shop, each with a rhythm of its own.

Read by `story` (how many visits, when) and by `run` (how they are onboarded).
"""

from zoneinfo import ZoneInfo

import msgspec

# Weights of the hours 0 to 23, and of the days Monday to Sunday.
_OFFICE_HOURS = (1, 1, 1, 1, 1, 2, 4, 9, 17, 22, 24, 22, 17, 19, 22, 21, 18, 13, 9, 7, 6, 4, 3, 2)
_ALL_DAY = (2, 1, 1, 1, 1, 2, 4, 7, 11, 14, 15, 15, 14, 14, 14, 13, 13, 13, 13, 14, 15, 13, 8, 4)
_EVENINGS = (4, 2, 1, 1, 1, 2, 4, 6, 8, 9, 10, 11, 14, 12, 10, 10, 11, 13, 16, 21, 25, 24, 17, 9)
_WORKING_WEEK = (1.1, 1.15, 1.1, 1.05, 0.9, 0.4, 0.35)
_EVEN_WEEK = (1.1, 1.1, 1.05, 1.0, 0.95, 0.7, 0.75)
_SHOPPING_WEEK = (0.95, 0.9, 0.9, 0.95, 1.05, 1.25, 1.35)


class Person(msgspec.Struct, frozen=True):
    """Somebody who works at a client."""

    email: str
    name: str
    role: str = "editor"


class DemoClient(msgspec.Struct, frozen=True, kw_only=True):
    """A client to onboard, and the rhythm of its visitors in its own zone."""

    id: str
    name: str
    timezone: str
    domain: str
    primary_color: str
    placement: str
    dashboards: tuple[str, ...]
    person: Person
    visits_per_day: int
    hours: tuple[int, ...]
    week: tuple[float, ...]
    countries: dict[str, int]

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which its days begin."""
        return ZoneInfo(self.timezone)

    def request(self) -> dict[str, object]:
        """Write the body of `POST /api/v1/clients`."""
        return {
            "id": self.id,
            "name": self.name,
            "timezone": self.timezone,
            "domain": self.domain,
            "branding": {"primaryColor": self.primary_color},
            "placement": {"kind": self.placement},
            "dashboards": list(self.dashboards),
            "staff": [msgspec.to_builtins(self.person)],
        }


MAPLE = DemoClient(
    id="maple",
    name="Maple Assist",
    timezone="Europe/Berlin",
    domain="maple.example",
    primary_color="#c2410c",
    placement="database",
    dashboards=("chatbot",),
    person=Person("mara@maple.example", "Mara Vogel"),
    visits_per_day=240,
    hours=_OFFICE_HOURS,
    week=_WORKING_WEEK,
    countries={"DE": 58, "AT": 14, "CH": 12, "NL": 6, "PL": 5, "FR": 5},
)
BIRCH = DemoClient(
    id="birch",
    name="Birch Studio",
    timezone="Europe/London",
    domain="birch.example",
    primary_color="#0f766e",
    placement="schema",
    dashboards=("portfolio",),
    person=Person("ben@birch.example", "Ben Hughes"),
    visits_per_day=130,
    hours=_ALL_DAY,
    week=_EVEN_WEEK,
    countries={"GB": 52, "US": 18, "IE": 8, "DE": 8, "IN": 7, "AU": 7},
)
CEDAR = DemoClient(
    id="cedar",
    name="Cedar Goods",
    timezone="America/New_York",
    domain="cedar.example",
    primary_color="#4d7c0f",
    placement="schema",
    dashboards=("shop",),
    person=Person("carla@cedar.example", "Carla Diaz"),
    visits_per_day=280,
    hours=_EVENINGS,
    week=_SHOPPING_WEEK,
    countries={"US": 82, "CA": 12, "MX": 3, "GB": 3},
)
CLIENTS = (MAPLE, BIRCH, CEDAR)
# Who is onboarded while a watch runs; it has no story.
WILLOW = msgspec.structs.replace(
    MAPLE,
    id="willow",
    name="Willow Books",
    domain="willow.example",
    primary_color="#7c3aed",
    placement="schema",
    person=Person("wanda@willow.example", "Wanda Lind"),
)
