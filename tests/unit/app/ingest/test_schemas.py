"""Events against schemas: ingest's own checkers say the same as the JSON Schema that is given out."""

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from app.ingest.outcomes import Code, Refusal
from app.ingest.schemas import check_schema
from app.ingest.wire import SchemaRef, WireEvent
from provisioning.schemas.documents import json_schema
from tenants.schemas import EventSchema, FieldType

FIELDS: dict[str, FieldType] = {kind.value: kind for kind in FieldType if kind is not FieldType.DATETIME}
FIELDS["a.b/c d"] = FieldType.STRING
SCHEMA = EventSchema(
    id=uuid.UUID(int=2), name="shop", description="", version=3, published=None,
    versions={2: {"sold": {}}, 3: {"sold": FIELDS, "paid": {"at": FieldType.DATETIME}}},
)  # fmt: skip
SCHEMAS = {"shop": SCHEMA}
VALIDATOR = Draft202012Validator(json_schema("https://grove.test/x", "shop", "", 3, SCHEMA.versions[3]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def refusal_of(properties: Any, name: str = "sold", schema: Any = "shop") -> Refusal | None:
    try:
        check_schema(WireEvent(name=name, schema=schema), json.dumps(properties), SCHEMAS)
    except Refusal as refusal:
        return refusal
    return None


@given(st.dictionaries(st.sampled_from([*FIELDS, "another"]), VALUES))
def test_the_checkers_and_the_json_schema_agree(properties: dict[str, Any]) -> None:
    event = {"name": "sold", "schema": "shop", "properties": properties}
    refused = refusal_of(properties)
    assert (refused is None) == VALIDATOR.is_valid(event)
    if refused is not None:
        assert refused.code is Code.WRONG_TYPE
        assert refused.pointer.startswith("/properties/")


def test_the_pointer_names_fields_whatever_they_are_called() -> None:
    refused = refusal_of({"a.b/c d": 7})
    assert refused is not None
    assert refused.pointer == "/properties/a.b~1c d"


@pytest.mark.parametrize("text", ["2026-11-03T10:00:00Z", "2026-11-03 10:00:00+01:00", "2026-11-03t10:00:00.5z"])
def test_a_time_is_taken(text: str) -> None:
    assert refusal_of({"at": text}, "paid") is None


@pytest.mark.parametrize(
    ("value", "code"),
    [("2026-11-03", Code.INVALID_TIME), ("2026-02-30T00:00:00Z", Code.INVALID_TIME),
     ("2026-11-03T10:00:00", Code.INVALID_TIME), (1_700_000_000, Code.WRONG_TYPE)],
)  # fmt: skip
def test_what_is_no_time_is_refused(value: object, code: Code) -> None:
    refused = refusal_of({"at": value}, "paid")
    assert refused is not None
    assert (refused.code, refused.pointer) == (code, "/properties/at")


@pytest.mark.parametrize(
    ("schema", "version"),
    [("shop", 3), ("shop@2", 2), (SchemaRef(name="shop"), 3), (SchemaRef(name="shop", version=2), 2)],
)
def test_the_version_that_is_named_counts_else_the_latest(schema: Any, version: int) -> None:
    assert check_schema(WireEvent(name="sold", schema=schema), "{}", SCHEMAS).version == version


@pytest.mark.parametrize("schema", ["shop@", "shop@x", "shop@4", "shop@0", "@3", "shop@²", "shop@3@3"])
def test_a_version_that_there_is_not_is_refused(schema: str) -> None:
    refused = refusal_of({}, schema=schema)
    assert refused is not None
    assert (refused.code, refused.pointer) == (Code.UNKNOWN_SCHEMA, "/schema")


def test_a_long_list_of_what_is_known_is_cut() -> None:
    schemas = {f"s{number:02}": SCHEMA for number in range(30)}
    with pytest.raises(Refusal, match="`s19` and 10 more"):
        check_schema(WireEvent(name="sold", schema="shop"), "{}", schemas)
