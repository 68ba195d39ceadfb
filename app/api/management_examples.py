"""Examples of what the management paths take and answer, for the API's documentation.

Read by `app.api.document`; made of the structs that the routes take and give, so that they keep to their shape.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.api.adaptor_examples import ADAPTOR_EXAMPLES
from app.api.audit import Audited
from app.api.client_views import (
    ListedClient,
    OnboardedClient,
    ShownClient,
    ShownLogo,
    ShownPlacement,
    ShownVisitors,
)
from app.api.event_stats import PATH as STATS
from app.api.examples import Examples
from app.api.health import Dependency, Health
from app.api.key_desk import Rotation
from app.api.keys import KeyRequest, PlatformKeyRequest
from app.api.operations import OperationAnswer
from app.api.pages import Page, PageMeta
from app.api.quarantine_examples import QUARANTINE_EXAMPLES
from app.api.schema_examples import SCHEMA_EXAMPLES
from app.api.source_examples import SOURCE_EXAMPLES
from app.api.staff_desk import InvitedStaff, StaffLink
from app.api.token_examples import TOKEN_EXAMPLES
from app.api.usage import OutcomeCount, Usage, UsageHour
from app.api.web_analytics import FUNNEL_QUESTION
from app.ingest.stats import EventStats, LastEvent
from provisioning.domains import DomainProof
from provisioning.isolation import Tried
from provisioning.keys import KeyChange, KeyView
from provisioning.operations import OperationView, StepView
from provisioning.requests import Branding, ClientChange, NewClient, NewPlacement, NewStaff, StaffChange
from provisioning.staff import StaffView

_CLIENTS = "/api/v1/clients"
_ONE = "/api/v1/clients/{client_id}"
_AT = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
_OPERATION_ID = uuid.UUID("7c1f1f0e-54b2-4c55-9d0c-0a8a2b1d9e10")
_KEY_ID = uuid.UUID("f3d1f0a2-8a0c-4a8e-bf14-6a1b7b8f2c31")
_STAFF = NewStaff(email="ana@maple.example", name="Ana Silva", role="viewer")
_BRANDING = Branding(primary_color="#c2410c", logo_url="https://maple.example/logo.png")
_NEW_CLIENT = NewClient(
    id="maple",
    name="Maple Dental",
    timezone="Europe/Paris",
    domain="maple.example",
    branding=_BRANDING,
    placement=NewPlacement(kind="schema"),
    staff=[_STAFF],
)
_CLIENT = ShownClient(
    id="maple",
    name="Maple Dental",
    status="active",
    timezone="Europe/Paris",
    domain="maple.example",
    domain_proven=True,
    dashboard_url="https://grove.example/maple/",
    branding=_BRANDING.stored(),
    logo=ShownLogo(state="shown"),
    placement=ShownPlacement(kind="schema", server="main", partition_interval="year", revision="0001", unhardened=[]),
    staff=[msgspec.to_builtins(_STAFF)],
    dashboards=[],
    grafana_org_id=None,
    retention_days=730,
    prune_after=None,
    rate_limit=200,
    rate_burst=None,
    monthly_quota=1_000_000,
    share=1,
    visitors=ShownVisitors(bots="filter", privacy="off", traits=["plan"], geo=True),
    created_at=_AT,
    updated_at=_AT,
    suspended_at=None,
    delete_after=None,
)
_LISTED = ListedClient(id=_CLIENT.id, name=_CLIENT.name, domain=_CLIENT.domain, dashboard_url=_CLIENT.dashboard_url)
_ONBOARDED = OnboardedClient(
    **msgspec.structs.asdict(_CLIENT),
    operation_id=_OPERATION_ID,
    keys={"admin": "grv_a_…", "server": "grv_s_…", "browser": "grv_w_…"},
)
_PROOF = DomainProof(
    domain="figures.maple.example",
    record="_grove.figures.maple.example",
    file="https://figures.maple.example/.well-known/grove-verification",
    value="grove-verification=…",
    proven=True,
    by="dns",
)
_KEY = KeyView(
    id=_KEY_ID,
    client_id="maple",
    kind="server",
    name="web shop",
    hint="grv_s_…4fQz",
    scopes=["read", "write"],
    origins=[],
    created_at=_AT,
)
_PLATFORM_KEY = msgspec.structs.replace(
    _KEY, client_id=None, kind="platform", name="deploy script", hint="grv_p_…9aXk", scopes=["manage", "platform"]
)
_PERSON = StaffView(
    id=uuid.UUID("0b6f3d2e-2a1c-4c57-8f0e-4a8f4be5d7c1"),
    email=_STAFF.email,
    name=_STAFF.name,
    role=_STAFF.role,
    status="invited",
    created_at=_AT,
    updated_at=_AT,
)
_INVITED = InvitedStaff(
    **msgspec.structs.asdict(_PERSON),
    mailed=False,
    link=StaffLink(
        purpose="invitation",
        url="https://grove.example/maple/invitation/…",
        expires_at=_AT + timedelta(days=7),
    ),
)
_USAGE = Usage(
    start=_AT,
    end=_AT + timedelta(hours=1),
    received=120,
    outcomes={"stored": 117, "duplicate": 2, "quarantined": 1},
    data=[
        UsageHour(
            hour=_AT,
            key_id=_KEY_ID,
            received=120,
            outcomes=[
                OutcomeCount("duplicate", "", 2),
                OutcomeCount("quarantined", "invalid_time", 1),
                OutcomeCount("stored", "", 117),
            ],
        )
    ],
)
_STATS = EventStats(
    received=120,
    totals=_USAGE.outcomes,
    start=_AT,
    end=_AT + timedelta(hours=1),
    by_type={"page_view": 100, "purchase": 17},
    by_schema={"shop": 17},
    refused={"invalid_time": 1},
    last_hour=117,
    last_event=LastEvent(
        event_id=uuid.UUID("0c9d2a6e-5f0b-4f0e-9f39-6a8c1a0f5b11"),
        name="purchase",
        schema="shop",
        occurred_at=_AT,
        received_at=_AT,
    ),
)
_AUDITED = Audited(
    id=41,
    at=_AT,
    actor=f"key:{_KEY_ID}",
    action="key.create",
    detail={"kind": "server", "name": "web shop"},
    request_id="5f0c6c0a4b1e4c1f8f0d7c2b9a3e6d41",
)
_HEALTH = Health(
    status="ok",
    dependencies={
        "database": Dependency(status="up", latency_ms=0.6),
        "redis": Dependency(status="up", latency_ms=0.2),
        "grafana": Dependency(status="not configured"),
    },
)
_DOWN = Health(status="down", dependencies=_HEALTH.dependencies | {"database": Dependency(status="down")})
_CHECKED = {
    "attempts": [
        Tried(
            role="writer",
            wall="append only",
            attempt="delete own events",
            outcome="denied",
            detail="permission denied for table events",
        )
    ],
    "summary": {"attempts": 1, "leaks": 0, "unhardened": []},
}


def _operation(kind: str, state: str, *steps: StepView, result: dict[str, Any] | None = None) -> OperationView:
    ended = state == "succeeded"
    return OperationView(
        id=_OPERATION_ID,
        kind=kind,
        client_id="maple",
        state=state,
        actor=f"key:{_KEY_ID}",
        steps=list(steps),
        result=result,
        created_at=_AT,
        started_at=_AT if ended else None,
        finished_at=_AT + timedelta(seconds=1) if ended else None,
    )


def _page(row: object) -> Page[Any]:
    return Page(data=[row], meta=PageMeta(next=None))


def _key_paths(path: str, shown: KeyView, request: msgspec.Struct) -> dict[tuple[str, str], Examples]:
    made = msgspec.structs.replace(shown, key=shown.hint[:6] + "…")
    return {
        ("get", path): Examples({"200": _page(shown)}),
        ("post", path): Examples({"201": made}, body=request),
        ("post", f"{path}/{{key_id}}/rotate"): Examples({"201": made}, body=Rotation(overlap_s=3600)),
    }


_CREATING = _operation("client.create", "pending", StepView(name="roles", state="pending", attempts=0))
_CREATED = _operation("client.create", "succeeded", StepView(name="roles", state="done", attempts=1))

EXAMPLES: dict[tuple[str, str], Examples] = {
    ("post", "/api/v1/analytics/funnel/analyze"): Examples({}, body=FUNNEL_QUESTION),
    ("post", _CLIENTS): Examples({"201": _ONBOARDED, "202": _CREATING}, body=_NEW_CLIENT),
    ("get", _CLIENTS): Examples({"200": _page(_CLIENT)}),
    ("get", "/clients"): Examples({"200": [_LISTED]}),
    ("get", _ONE): Examples({"200": _CLIENT}),
    ("patch", _ONE): Examples({"200": _CLIENT}, body=ClientChange(timezone="Europe/Paris", branding=_BRANDING)),
    ("delete", _ONE): Examples(
        {"200": _operation("client.delete", "succeeded"), "202": _operation("client.remove", "pending")}
    ),
    ("post", f"{_ONE}/suspend"): Examples({"200": _operation("client.suspend", "succeeded")}),
    ("post", f"{_ONE}/resume"): Examples({"200": _operation("client.resume", "succeeded")}),
    ("post", f"{_ONE}/restore"): Examples({"200": _operation("client.restore", "succeeded")}),
    ("post", f"{_ONE}/isolation-check"): Examples(
        {
            "200": _operation("client.isolation_check", "succeeded", result=_CHECKED),
            "202": _operation("client.isolation_check", "pending"),
        }
    ),
    ("post", f"{_ONE}/domain/verify"): Examples({"200": _PROOF}),
    ("post", f"{_ONE}/grafana/reconcile"): Examples(
        {
            "200": _operation("grafana.reconcile", "succeeded", result={"changes": []}),
            "202": _operation("grafana.reconcile", "pending"),
        }
    ),
    ("post", f"{_ONE}/staff"): Examples({"201": _INVITED}, body=_STAFF),
    ("get", f"{_ONE}/staff"): Examples({"200": _page(_PERSON)}),
    ("patch", f"{_ONE}/staff/{{staff_id}}"): Examples({"200": _PERSON}, body=StaffChange(role="editor")),
    ("post", f"{_ONE}/staff/{{staff_id}}/invite"): Examples({"201": _INVITED}),
    ("get", f"{_ONE}/usage"): Examples({"200": _USAGE}),
    ("get", STATS): Examples({"200": _STATS}),
    ("get", f"{_ONE}/audit"): Examples({"200": _page(_AUDITED)}),
    ("get", "/api/v1/operations/{operation_id}"): Examples(
        {"200": OperationAnswer(**msgspec.structs.asdict(_CREATED), keys=_ONBOARDED.keys)}
    ),
    ("get", "/health"): Examples({"200": _HEALTH, "503": _DOWN}),
    ("get", "/health/live"): Examples({"200": {"status": "ok"}}),
    ("get", "/health/ready"): Examples({"200": {"status": "up"}, "503": {"status": "down"}}),
    ("get", "/metrics"): Examples({"200": 'grove_events_total{outcome="stored"} 117.0\n'}),
    ("get", "/problems/{slug}"): Examples(
        {"200": {"type": "/problems/not-found", "status": 404, "title": "There is no such thing here"}}
    ),
    ("get", "/docs"): Examples({"200": "<!doctype html>…"}),
    ("get", "/api/docs"): Examples({"200": "<!doctype html>…"}),
    **QUARANTINE_EXAMPLES,
    **SCHEMA_EXAMPLES,
    **ADAPTOR_EXAMPLES,
    **TOKEN_EXAMPLES,
    **SOURCE_EXAMPLES,
    ("patch", f"{_ONE}/keys/{{key_id}}"): Examples({"200": _KEY}, body=KeyChange(rate_limit=50)),
    **_key_paths(f"{_ONE}/keys", _KEY, KeyRequest(kind="server", name="web shop")),
    **_key_paths("/api/v1/keys", _PLATFORM_KEY, PlatformKeyRequest(name="deploy script")),
}
