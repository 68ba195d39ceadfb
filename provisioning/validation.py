"""Judge what is asked about a client; pure, and lists every fault at once.

Called by `provisioning.onboarding` and `provisioning.lifecycle`; what only a database can tell is asked elsewhere.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

from msgspec import UNSET

from migrations.partitions import INTERVALS
from provisioning.requests import Branding, ClientChange, NewClient, NewPlacement, NewStaff, StaffChange, Visitors
from provisioning.templates import shipped_templates
from tenants.allowances import BURST_S, MAX_QUOTA, MAX_RATE
from tenants.errors import InputRefused
from tenants.ids import is_client_id
from tenants.placement import PlacementKind
from tenants.pointers import escape
from tenants.visitors import Bots, Privacy
from tenants.zones import zone_names

Fault = tuple[str, str]

ROLES = ("viewer", "editor")
STATUSES = ("active", "disabled")
MAX_RETENTION_DAYS = 3650
MAX_SHARE = 100
CHAT_TABLES = {
    "UserEvents": (
        "sessionId", "pageLoaded", "widgetOpened", "requestedHuman", "pressedAccept", "pressedCallback",
        "pressedContinue", "createdAt", "updatedAt",
    ),
    "Leads": ("id", "sessionId", "name", "email", "phone", "source", "createdAt"),
    "ChatLog": (
        "id", "sessionId", "role", "message", "intent", "confidence", "fallback", "tokensIn", "tokensOut", "cost",
        "latencyMs", "createdAt",
    ),
    "AgentConnection": ("id", "sessionId", "agent", "connectedAt", "disconnectedAt", "csat"),
}  # fmt: skip
DATABASE_URL_SHAPE = "A database's URL looks like postgresql://user:password@host:5432/database."

_MAX_NAME = 200
_MAX_URL = 2048
_MAX_HOST = 253
_MAX_IDENTIFIER_BYTES = 63
_MAX_STAFF = 1000
_MAX_DASHBOARDS = 100
_MAX_TRAITS = 50
_MAX_TRAIT_NAME = 64
_COLOUR = re.compile(r"#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})")
_HOST_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# A dot-atom of RFC 5322 and a host; `=?` would begin an encoded word in a mail's header.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_EMAIL = re.compile(rf"(?=[^@]{{1,64}}@)(?!.*=\?){_ATOM}(?:\.{_ATOM})*@([A-Za-z0-9.-]{{1,253}})")
_SERVER_NAME = re.compile(r"[a-z][a-z0-9-]{0,38}")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def check_new_client(new: NewClient, *, reserved: frozenset[str]) -> None:
    """Judge a new client; `reserved` are the ids that paths of ours begin with.

    Errors: InputRefused with a pointer per fault.
    """
    faults = [
        *_id_faults(new.id, reserved), *_name_faults(new.name), *_zone_faults("/timezone", new.timezone),
        *_domain_faults(new.domain), *_branding_faults(new.branding), *_placement_faults(new.placement),
        *_staff_faults(new.staff), *_dashboard_faults(new.dashboards), *_organisation_faults(new.grafana_org_id),
        *allowance_faults({"rateLimit": new.rate_limit, "rateBurst": new.rate_burst,
                           "monthlyQuota": new.monthly_quota}),
        *_retention_faults(new.retention_days), *_share_faults(new.share), *_visitor_faults(new.visitors),
    ]  # fmt: skip
    _refuse(faults, "The client cannot be made like this.")


def check_client_change(change: ClientChange, *, rate: int | None = None) -> None:
    """Judge a change of a client that has this rate.

    Errors: InputRefused with a pointer per fault.
    """
    faults: list[Fault] = []
    if change.name is not UNSET:
        faults += _name_faults(change.name)
    if change.timezone is not UNSET:
        faults += _zone_faults("/timezone", change.timezone)
    if change.domain is not UNSET:
        faults += _domain_faults(change.domain)
    if change.branding is not UNSET:
        faults += _branding_faults(change.branding)
    if change.staff is not UNSET:
        faults += _staff_faults(change.staff)
    if change.dashboards is not UNSET:
        faults += _dashboard_faults(change.dashboards)
    if change.retention_days is not UNSET:
        faults += _retention_faults(change.retention_days)
    if change.share is not UNSET:
        faults += _share_faults(change.share)
    if change.visitors is not UNSET:
        faults += _visitor_faults(change.visitors)
    given = {"rateLimit": change.rate_limit, "rateBurst": change.rate_burst, "monthlyQuota": change.monthly_quota}
    faults += allowance_faults(
        {"rateLimit": rate} | {name: value for name, value in given.items() if value is not UNSET}
    )
    _refuse(faults, "The client cannot be changed like this.")


def allowance_faults(given: Mapping[str, int | None]) -> Iterator[Fault]:
    """Judge limits, by their names; the rate is the first of them, for no burst is without one."""
    rate = next(iter(given.values()))
    for name, value in given.items():
        most = MAX_QUOTA if "uota" in name else MAX_RATE * BURST_S if "urst" in name else MAX_RATE
        if value is not None and not 1 <= value <= most:
            yield f"/{name}", f"Give a number from 1 to {most}, or null for none."
        elif value is not None and "urst" in name and rate is None:
            yield f"/{name}", "How much may come at once is a matter of the rate: give that too."


def check_staff(new: NewStaff) -> None:
    """Judge a person to invite.

    Errors: InputRefused with a pointer per fault.
    """
    _refuse([*_email_faults("", new.email), *_person_faults("", new.name, new.role)], "The person cannot be invited.")


def check_staff_change(change: StaffChange) -> None:
    """Judge a change of a person.

    Errors: InputRefused with a pointer per fault.
    """
    name = "" if change.name is UNSET else change.name
    faults = list(_person_faults("", name, ROLES[0] if change.role is UNSET else change.role))
    if change.status is not UNSET and change.status not in STATUSES:
        faults.append(("/status", f"The status is one of {', '.join(STATUSES)}."))
    _refuse(faults, "The person cannot be changed like this.")


def is_host_name(text: str) -> bool:
    """Tell whether a text is a lower-case host name with at least two labels, or `localhost`."""
    labels = text.split(".")
    named = all(_HOST_LABEL.fullmatch(label) for label in labels)
    return text == "localhost" or (named and len(text) <= _MAX_HOST and len(labels) > 1 and not labels[-1].isdigit())


def is_server_name(text: str) -> bool:
    """Tell whether a server may be registered under a name; those that were given for one client are called else."""
    return _SERVER_NAME.fullmatch(text) is not None


def _refuse(faults: list[Fault], summary: str = "The client cannot be made like this.") -> None:
    if faults:
        raise InputRefused(summary if len(faults) > 1 else faults[0][1], errors=faults)


def _id_faults(client_id: str, reserved: frozenset[str]) -> Iterator[Fault]:
    if not is_client_id(client_id):
        yield "/id", "An id has 2 to 39 characters: a lower-case letter, then lower-case letters, digits and hyphens."
    elif client_id in reserved:
        yield "/id", "This id is reserved, because addresses of Grove itself begin with it."


def _name_faults(name: str) -> Iterator[Fault]:
    if not name.strip() or len(name) > _MAX_NAME or not name.isprintable():
        yield "/name", f"A name has 1 to {_MAX_NAME} printable characters."


def _zone_faults(pointer: str, zone: str) -> Iterator[Fault]:
    if zone not in zone_names():
        yield pointer, "This is no time zone of the IANA database, such as Europe/Paris."


def _domain_faults(domain: str | None) -> Iterator[Fault]:
    if domain is not None and not is_host_name(domain):
        yield "/domain", "A domain is a host name in lower case, such as shop.example.com (non-ASCII as xn--…)."


def _branding_faults(branding: Branding) -> Iterator[Fault]:
    colour, logo = branding.primary_color, branding.logo_url
    if isinstance(colour, str) and _COLOUR.fullmatch(colour) is None:
        yield "/branding/primaryColor", "A colour is #rgb or #rrggbb."
    if isinstance(logo, str) and not _is_logo_url(logo):
        yield "/branding/logoUrl", "A logo's URL starts with https:// and holds no user name or password."


def _is_logo_url(url: str) -> bool:
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or set(url) & set(" \\\"'<>`"):
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    host = parts.hostname
    if not host or parts.username is not None or parts.password is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


def _placement_faults(placement: NewPlacement) -> Iterator[Fault]:
    kinds = [kind.value for kind in PlacementKind]
    if placement.kind not in kinds:
        yield "/placement/kind", f"The kind is one of {', '.join(kinds)}."
        return
    if placement.partition_interval not in {None, *INTERVALS}:
        yield "/placement/partitionInterval", f"The interval is one of {', '.join(INTERVALS)}."
    if placement.url is not None:
        yield from _url_faults(placement.url)
    if placement.kind == PlacementKind.EXTERNAL:
        yield from _external_faults(placement)
        return
    if placement.kind == PlacementKind.SCHEMA and placement.url is not None:
        yield "/placement/url", "A schema is made on a registered server; a URL goes with kind database or external."
    if placement.server is not None and not is_server_name(placement.server):
        yield "/placement/server", "There is no server of this name."
    elif placement.url is not None and placement.server is not None:
        yield "/placement/server", "Give either a URL or a server."
    given = {"sourceTimezone": placement.source_timezone, "schema": placement.schema,
             "tables": placement.tables or None, "columns": placement.columns or None}  # fmt: skip
    for name, value in given.items():
        if value is not None:
            yield f"/placement/{name}", "This describes the tables of kind external."


def is_database_url(url: str) -> bool:
    """Tell whether a text is the URL of a PostgreSQL database, with a login."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"postgres", "postgresql"} and bool(parts.hostname) and bool(parts.username)
        valid = valid and parts.path not in {"", "/"} and parts.port != 0 and len(url) <= _MAX_URL
    except ValueError:
        return False
    return valid and unquote(url).isprintable()


def _url_faults(url: str) -> Iterator[Fault]:
    if not is_database_url(url):
        yield "/placement/url", DATABASE_URL_SHAPE


def _external_faults(placement: NewPlacement) -> Iterator[Fault]:
    if placement.url is None:
        yield "/placement/url", "Kind external needs the URL of the existing database."
    if placement.source_timezone is not None:
        yield from _zone_faults("/placement/sourceTimezone", placement.source_timezone)
    if placement.schema is not None and not _is_identifier(placement.schema):
        yield "/placement/schema", "This is no name of a schema."
    yield from _table_faults(placement.tables)
    for table, columns in placement.columns.items():
        yield from _column_faults(table, columns)


def _table_faults(tables: dict[str, str]) -> Iterator[Fault]:
    for ours, theirs in tables.items():
        if ours not in CHAT_TABLES:
            yield f"/placement/tables/{escape(ours)}", f"The tables are {', '.join(CHAT_TABLES)}."
        elif not _is_identifier(theirs):
            yield f"/placement/tables/{ours}", "This is no name of a table."


def _column_faults(table: str, columns: dict[str, str]) -> Iterator[Fault]:
    if table not in CHAT_TABLES:
        yield f"/placement/columns/{escape(table)}", f"The tables are {', '.join(CHAT_TABLES)}."
        return
    for ours, theirs in columns.items():
        if ours not in CHAT_TABLES[table]:
            yield f"/placement/columns/{table}/{escape(ours)}", f"The columns are {', '.join(CHAT_TABLES[table])}."
        elif not _is_identifier(theirs):
            yield f"/placement/columns/{table}/{ours}", "This is no name of a column."


def _is_identifier(text: str) -> bool:
    return 0 < len(text.encode(errors="replace")) <= _MAX_IDENTIFIER_BYTES and text.isprintable()


def _staff_faults(staff: list[NewStaff]) -> Iterator[Fault]:
    if len(staff) > _MAX_STAFF:
        yield "/staff", f"At most {_MAX_STAFF} people can be named at once."
        return
    seen: set[str] = set()
    for index, person in enumerate(staff):
        yield from _email_faults(f"/staff/{index}", person.email)
        if person.email.lower() in seen:
            yield f"/staff/{index}/email", "This address is named twice."
        seen.add(person.email.lower())
        yield from _person_faults(f"/staff/{index}", person.name, person.role)


def _email_faults(where: str, email: str) -> Iterator[Fault]:
    match = _EMAIL.fullmatch(email)
    if match is None or not is_host_name(match[1].lower()):
        yield f"{where}/email", "This is no e-mail address."


def _person_faults(where: str, name: str, role: str) -> Iterator[Fault]:
    if len(name) > _MAX_NAME or not name.isprintable():
        yield f"{where}/name", f"A name has at most {_MAX_NAME} printable characters."
    if role not in ROLES:
        yield f"{where}/role", f"The role is one of {', '.join(ROLES)}."


def _dashboard_faults(dashboards: list[str]) -> Iterator[Fault]:
    if len(dashboards) > _MAX_DASHBOARDS:
        yield "/dashboards", f"At most {_MAX_DASHBOARDS} dashboard sets can be named."
    known = shipped_templates().sets
    for index, name in enumerate(dashboards[:_MAX_DASHBOARDS]):
        if name not in known:
            yield f"/dashboards/{index}", f"There are no such dashboards; there are {', '.join(sorted(known))}."


def _organisation_faults(number: int | None) -> Iterator[Fault]:
    if number is not None and not 0 < number < 2**31:
        yield "/grafanaOrgId", "This is no number of a Grafana organisation."


def _retention_faults(days: int | None) -> Iterator[Fault]:
    if days is not None and not 1 <= days <= MAX_RETENTION_DAYS:
        yield "/retentionDays", f"Give a number of days from 1 to {MAX_RETENTION_DAYS}."


def _share_faults(share: int) -> Iterator[Fault]:
    if not 1 <= share <= MAX_SHARE:
        yield "/share", f"Give a number from 1 to {MAX_SHARE}."


def _visitor_faults(visitors: Visitors) -> Iterator[Fault]:
    for name, value, kinds in (("bots", visitors.bots, Bots), ("privacy", visitors.privacy, Privacy)):
        if value is not UNSET and value not in {*kinds}:
            yield f"/visitors/{name}", f"Give one of {', '.join(kinds)}."
    traits = () if visitors.traits is UNSET else visitors.traits
    if len(traits) > _MAX_TRAITS:
        yield "/visitors/traits", f"A client keeps {_MAX_TRAITS} traits at most."
    for index, trait in enumerate(traits[:_MAX_TRAITS]):
        if not 1 <= len(trait) <= _MAX_TRAIT_NAME or not trait.isprintable():
            yield f"/visitors/traits/{index}", f"A trait's name has 1 to {_MAX_TRAIT_NAME} printable characters."
