"""Which Grafana is used, and how versions differ."""

import pytest

from provisioning.grafana.versions import read_version


@pytest.mark.parametrize("text", ["12.4.11", "12.5.0", "12.5.1+security-01"])
def test_a_supported_and_patched_version_is_used_and_said_not_to_be_measured(text: str) -> None:
    version = read_version(text)
    assert version.fault is None
    assert version.note is not None
    assert text in version.note


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("12.4.10", "lacks security patches"), ("13.2.0", "not supported"), ("9.4.0-pre", "not supported"),
        ("10.4.19", "not supported"), ("11.6.14", "not supported"), ("14.0.0", "not supported"), ("", "not supported"),
    ],
)  # fmt: skip
def test_an_unsupported_or_unpatched_version_is_named(text: str, reason: str) -> None:
    fault = read_version(text).fault
    assert fault is not None
    assert text in fault
    assert reason in fault


def test_the_measured_version_needs_no_note() -> None:
    assert read_version("9.4.0-pre").note is None


@pytest.mark.parametrize(
    ("setting", "allowed"),
    [("9.4", True), ("9.4.0", True), ("9", True), ("9.40", False), ("9.4.1", False), (None, False)],
)
def test_a_setting_allows_a_version_by_its_beginning(setting: str | None, *, allowed: bool) -> None:
    assert read_version("9.4.0-pre").is_allowed_by(setting) is allowed


def test_postgres_is_read_by_another_plugin_since_version_10() -> None:
    names = [read_version(text).datasource_type for text in ("9.4.0", "10.0.0", "13.2.0")]
    assert names == ["postgres", "grafana-postgresql-datasource", "grafana-postgresql-datasource"]
