"""Examples of the paths of event schemas, for the API's documentation. Read by `management_examples`."""

import uuid
from datetime import UTC, datetime

import msgspec

from app.api.examples import Examples
from app.api.pages import Page, PageMeta
from app.api.schema_desk import KeptSchema, WholeSchema
from app.api.schemas import ONE, PATH
from provisioning.operations import OperationView, StepView
from provisioning.schemas.documents import json_schema, typescript
from provisioning.schemas.publication import PUBLISH
from provisioning.schemas.store import NewSchema, SchemaView, VersionView
from tenants.schemas import FieldType

_AT = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
_OPERATION_ID = uuid.UUID("7c1f1f0e-54b2-4c55-9d0c-0a8a2b1d9e10")
_DEFINITION = {
    "purchase": {"order_id": FieldType.STRING, "total": FieldType.NUMBER, "paid_at": FieldType.DATETIME},
    "review": {"stars": FieldType.NUMBER, "text": FieldType.STRING},
}
_NEW = NewSchema(
    name="shop", description="What the shop sends.", properties=msgspec.convert(_DEFINITION, dict[str, dict[str, str]])
)
_SCHEMA = SchemaView(
    id=uuid.UUID("2c1d8a52-7d7f-4a35-9a4b-1f6f5c1b7a90"),
    name=_NEW.name,
    description=_NEW.description,
    version=1,
    properties=_DEFINITION,
    views={"purchase": "s_shop_purchase", "review": "s_shop_review"},
    published=1,
    created_at=_AT,
    updated_at=_AT,
)
_KEPT = KeptSchema(**msgspec.structs.asdict(_SCHEMA), operation_id=_OPERATION_ID)
_WHOLE = WholeSchema(
    **msgspec.structs.asdict(_SCHEMA), versions=[VersionView(version=1, breaking=False, created_at=_AT)]
)
_PUBLISHED = OperationView(
    id=_OPERATION_ID,
    kind=PUBLISH,
    client_id="maple",
    state="succeeded",
    actor="key:f3d1f0a2-8a0c-4a8e-bf14-6a1b7b8f2c31",
    steps=[StepView(name="schema_views", state="done", attempts=1, detail="0 views, 0 made, 2 taken away")],
    created_at=_AT,
    started_at=_AT,
    finished_at=_AT,
)
_PENDING = msgspec.structs.replace(_PUBLISHED, state="pending", steps=[], started_at=None, finished_at=None)
_URL = "https://grove.example/api/schemas/2c1d8a52-7d7f-4a35-9a4b-1f6f5c1b7a90/json-schema?version=1"
_ID = ONE.replace(":uuid", "")

SCHEMA_EXAMPLES: dict[tuple[str, str], Examples] = {
    ("post", PATH): Examples({"201": _KEPT}, body=_NEW),
    ("get", PATH): Examples({"200": Page(data=[_SCHEMA], meta=PageMeta(next=None))}),
    ("get", _ID): Examples({"200": _WHOLE}),
    ("put", _ID): Examples({"200": msgspec.structs.replace(_KEPT, version=2)}, body=_NEW),
    ("delete", _ID): Examples({"200": _PUBLISHED, "202": _PENDING}),
    ("get", f"{_ID}/json-schema"): Examples({"200": json_schema(_URL, _NEW.name, _NEW.description, 1, _DEFINITION)}),
    ("get", f"{_ID}/types.ts"): Examples({"200": typescript(_NEW.name, 1, _DEFINITION)}),
}
