"""What is refused before anything is made, each fault with its place."""

from typing import Any

import msgspec
import pytest

from provisioning.requests import ClientChange, NewClient
from provisioning.validation import check_client_change, check_new_client
from tenants.errors import InputRefused

RESERVED = frozenset({"api", "health"})


def client(**changes: Any) -> NewClient:
    return msgspec.convert({"id": "maple", "name": "Maple"} | changes, NewClient)


def faults(**changes: Any) -> list[str]:
    with pytest.raises(InputRefused) as refused:
        check_new_client(client(**changes), reserved=RESERVED)
    return [pointer for pointer, _ in refused.value.errors]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"timezone": "Europe/Paris", "domain": "shop.maple.example", "branding": {"primaryColor": "#abc"}},
        {"branding": {"primaryColor": "#A1b2C3", "logoUrl": "https://maple.example/logo.png?v=1"}},
        {"branding": {"logoUrl": "http://127.0.0.1:8000/logo.png"}},
        {"placement": {"kind": "database", "server": "main", "partitionInterval": "month"}},
        {"placement": {"kind": "database", "url": "postgresql://u:p@db.example:5432/maple"}},
        {"placement": {"kind": "external", "url": "postgres://u@db/x", "sourceTimezone": "Europe/Paris"}},
        {"placement": {"kind": "external", "url": "postgres://u@db/x", "tables": {"Leads": "contacts"},
                       "columns": {"UserEvents": {"sessionId": "sid"}}}},
        {"staff": [{"email": "ana@maple.example", "role": "editor"}], "dashboards": ["chatbot"], "grafanaOrgId": 3},
    ],
)  # fmt: skip
def test_what_is_well_formed_is_accepted(changes: dict[str, Any]) -> None:
    check_new_client(client(**changes), reserved=RESERVED)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"id": "api"}, "/id"),
        ({"id": "Maple"}, "/id"),
        ({"id": "m"}, "/id"),
        ({"id": "maple/../x"}, "/id"),
        ({"name": " "}, "/name"),
        ({"name": "a\0b"}, "/name"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"timezone": "../etc/passwd"}, "/timezone"),
        ({"timezone": ""}, "/timezone"),
        ({"domain": "Shop.example"}, "/domain"),
        ({"domain": "shop"}, "/domain"),
        ({"domain": "https://shop.example"}, "/domain"),
        ({"domain": "1.2.3.4"}, "/domain"),
        ({"branding": {"primaryColor": "red"}}, "/branding/primaryColor"),
        ({"branding": {"primaryColor": "#ffff"}}, "/branding/primaryColor"),
        ({"branding": {"logoUrl": "http://maple.example/logo.png"}}, "/branding/logoUrl"),
        ({"branding": {"logoUrl": "https://me:pw@maple.example/logo.png"}}, "/branding/logoUrl"),
        ({"branding": {"logoUrl": "javascript:alert(1)"}}, "/branding/logoUrl"),
        ({"branding": {"logoUrl": 'https://x/"><script>'}}, "/branding/logoUrl"),
        ({"placement": {"kind": "cloud"}}, "/placement/kind"),
        ({"placement": {"kind": "schema", "url": "postgresql://u@db/x"}}, "/placement/url"),
        ({"placement": {"kind": "database", "url": "postgresql://u@db/"}}, "/placement/url"),
        ({"placement": {"kind": "database", "url": "mysql://u@db/x"}}, "/placement/url"),
        ({"placement": {"kind": "database", "url": "postgresql://u@db/x", "server": "main"}}, "/placement/server"),
        ({"placement": {"kind": "schema", "partitionInterval": "day"}}, "/placement/partitionInterval"),
        ({"placement": {"kind": "schema", "sourceTimezone": "UTC"}}, "/placement/sourceTimezone"),
        ({"placement": {"kind": "external"}}, "/placement/url"),
        ({"placement": {"kind": "external", "url": "postgres://u@db/x", "tables": {"Nope": "n"}}},
         "/placement/tables/Nope"),
        ({"placement": {"kind": "external", "url": "postgres://u@db/x", "columns": {"Leads": {"age": "n"}}}},
         "/placement/columns/Leads/age"),
        ({"staff": [{"email": "nobody"}]}, "/staff/0/email"),
        # No mail's header can hold these.
        ({"staff": [{"email": "a..b@maple.example"}]}, "/staff/0/email"),
        ({"staff": [{"email": ".a@maple.example"}]}, "/staff/0/email"),
        ({"staff": [{"email": "a.@maple.example"}]}, "/staff/0/email"),
        ({"staff": [{"email": "=?utf-8?q?a?=@maple.example"}]}, "/staff/0/email"),
        ({"staff": [{"email": "a" * 65 + "@maple.example"}]}, "/staff/0/email"),
        ({"staff": [{"email": "a@b.example"}, {"email": "A@b.example"}]}, "/staff/1/email"),
        ({"staff": [{"email": "a@b.example", "role": "owner"}]}, "/staff/0/role"),
        ({"dashboards": ["chatbot", "chatbots"]}, "/dashboards/1"),
        ({"grafanaOrgId": 0}, "/grafanaOrgId"),
    ],
)  # fmt: skip
def test_a_fault_is_refused_at_its_place(changes: dict[str, Any], pointer: str) -> None:
    assert faults(**changes) == [pointer]


def test_all_faults_are_told_at_once() -> None:
    assert faults(id="api", timezone="x/y", branding={"primaryColor": "red"}) == [
        "/id", "/timezone", "/branding/primaryColor",
    ]  # fmt: skip


def test_a_change_is_judged_only_where_it_changes_something() -> None:
    check_client_change(ClientChange())
    with pytest.raises(InputRefused) as refused:
        check_client_change(ClientChange(name="", domain="x"))
    assert [pointer for pointer, _ in refused.value.errors] == ["/name", "/domain"]
    assert refused.value.detail == "The client cannot be changed like this."
