"""Brands that can be read."""

from typing import Any

import pytest

from app.console.brand import NEUTRAL, READABLE, brand_of, contrast
from app.console.layout import page_headers, render
from tenants.ids import TenantId
from tenants.placement import Placement, PlacementKind, TenantContext

PLACEMENT = Placement(
    tenant_id=TenantId("maple"), kind=PlacementKind.SCHEMA, server="main", database="d", serve_url="postgresql://x/d",
    schema="t_x", owner_role="o", writer_role="w", reader_role="r", login_role="l",
)  # fmt: skip


def client_with(name: str = "Maple", **branding: Any) -> TenantContext:
    return TenantContext(
        tenant_id=TenantId("maple"), name=name, status="active", timezone="UTC", domain=None, branding=branding,
        retention_days=30, placement=PLACEMENT,
    )  # fmt: skip


@pytest.mark.parametrize("colour", ["#c2410c", "#ffff00", "#fff", "#000000", "#7a7a7a", "#00FF7F", "#abc", "#0000ff"])
def test_text_can_be_read_on_every_colour_and_every_colour_on_white(colour: str) -> None:
    brand = brand_of(client_with(primaryColor=colour))
    assert contrast(brand.on_primary, brand.primary) >= READABLE
    assert contrast(brand.accent, "#ffffff") >= READABLE


@pytest.mark.parametrize(
    "colour", [None, "", "red", "#12", "#12345g", "#fff;}", "url(x)", 7, "#\u0660\u0660\u0660\u0660\u0660\u0660"]
)
def test_what_is_no_colour_is_neutral(colour: object) -> None:
    assert brand_of(client_with(primaryColor=colour)).primary == NEUTRAL.primary


def test_black_on_white_has_the_greatest_contrast() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#777777") == pytest.approx(1)


def test_a_name_is_text_and_nothing_else() -> None:
    brand = brand_of(client_with('<script>alert("x")</script>'))
    page = render("notice.html", brand, "/maple", title="<b>", text="</p><i>", back=True)
    assert "<script" not in page
    assert "<b>" not in page
    assert "</p><i>" not in page


def test_a_page_may_load_its_own_and_nothing_else() -> None:
    headers = page_headers()
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
