"""What the environment may say, and how it is refused."""

from pathlib import Path

import pytest

from app.settings import Settings, SettingsError, load, to_environ

SECRET = "0123456789abcdef0123456789abcdef"
SERVED = {
    "DATABASE_URL": "postgresql://grove:secret@db.example/grove",
    "GROVE_SECRET_KEY": SECRET,
    "GROVE_PUBLIC_URL": "https://grove.example",
}


def test_an_empty_environment_gives_the_embedded_server_with_all_defaults() -> None:
    settings = load({})

    assert settings == Settings()
    assert settings.embedded


def test_an_empty_value_counts_as_not_set() -> None:
    assert load({"GROVE_LOG_LEVEL": "", "DATABASE_URL": "", "MAPLE_DB_URL": ""}) == Settings()


def test_names_that_hosting_platforms_set_are_read_as_they_are() -> None:
    settings = load(
        SERVED
        | {
            "REDIS_URL": "rediss://:pw@cache.example:6380/0",
            "PORT": "8080",
            "GRAFANA_URL": "http://grafana.example",
            "GRAFANA_ADMIN_PASSWORD": "admin-password",
            "PROMETHEUS_MULTIPROC_DIR": "/run/metrics",
        }
    )

    assert settings.database_url == SERVED["DATABASE_URL"]
    assert settings.redis_url == "rediss://:pw@cache.example:6380/0"
    assert settings.port == 8080
    assert settings.grafana_url == "http://grafana.example"
    assert settings.grafana_admin_password == "admin-password"
    assert settings.metrics_dir == Path("/run/metrics")
    assert not settings.embedded


def test_what_does_not_concern_grove_is_passed_over() -> None:
    assert load({"HOME": "/root", "PATH": "/bin", "PORTS": "1"}) == Settings()


def test_an_unknown_key_of_ours_stops_the_start_and_names_itself() -> None:
    with pytest.raises(SettingsError, match=r"^GROVE_LOGLEVEL is no setting of Grove"):
        load({"GROVE_LOGLEVEL": "info"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "8000.0"),
        ("PORT", "٨٠"),  # digits, but not ASCII's
        ("GROVE_WEB_PROCESSES", "0"),
        ("GROVE_WEB_PROCESSES", "65"),
        ("GROVE_RETENTION_DAYS", "0"),
        ("GROVE_RETENTION_DAYS", "3651"),
        ("GROVE_RETENTION_DAYS", "1000000"),
        ("GROVE_DUPLICATE_WINDOW_DAYS", "3651"),
        ("GROVE_DRAIN_TIMEOUT_S", "3601"),
        ("GROVE_INGEST_QUEUE_EVENTS", "1000001"),
        ("GROVE_DELETE_GRACE_DAYS", "3651"),
        ("GROVE_TRUSTED_PROXIES", "11"),
        ("GROVE_SMTP_URL", "http://mail.example"),
        ("GROVE_SMTP_URL", "smtp://"),
        ("GROVE_MAIL_FROM", "nobody"),
        ("GROVE_MAIL_FROM", "a@b.example\r\nBcc: c@d.example"),
        ("GROVE_LOG_LEVEL", "verbose"),
        ("GROVE_LOG_FORMAT", "xml"),
        ("GROVE_SECRET_KEY", "too short"),
        ("DATABASE_URL", "mysql://user@db.example/grove"),
        ("DATABASE_URL", "postgresql://db.example"),
        ("DATABASE_URL", "postgresql://db.example:port/grove"),
        ("REDIS_URL", "http://cache.example"),
        ("GRAFANA_URL", "grafana.example"),
        ("GROVE_PUBLIC_URL", "https://"),
        ("MAPLE_DB_URL", "maple"),
        ("GROVE_POOLER", "postgresql://pooler:6432"),
        ("GROVE_POOLER", "pooler:6432"),  # before no DATABASE_URL
    ],
)
def test_a_bad_value_stops_the_start_with_one_line_that_names_its_key(key: str, value: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        load({key: value})

    message = str(refusal.value)
    assert message.startswith(key)
    assert "\n" not in message


@pytest.mark.parametrize("key", ["DATABASE_URL", "REDIS_URL", "GROVE_SECRET_KEY", "GROVE_SMTP_URL", "MAPLE_DB_URL"])
def test_a_refused_secret_is_not_repeated(key: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        load({key: "hunter2"})

    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("given", [{"GROVE_QUARANTINE_DAYS": "31"}, {"GROVE_DUPLICATE_WINDOW_DAYS": "29"}])
def test_quarantine_keeps_nothing_whose_repeats_are_forgotten(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"^GROVE_QUARANTINE_DAYS \(\d+\) .* GROVE_DUPLICATE_WINDOW_DAYS \(\d+\)"):
        load(given)

    both = load({"GROVE_QUARANTINE_DAYS": "90", "GROVE_DUPLICATE_WINDOW_DAYS": "90"})
    assert (both.quarantine_days, both.duplicate_window_days) == (90, 90)


@pytest.mark.parametrize("given", [{"GROVE_SMTP_URL": "smtps://mail.example"}, {"GROVE_MAIL_FROM": "a@b.example"}])
def test_mail_needs_both_a_server_and_a_sender(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="together"):
        load(given)

    both = load({"GROVE_SMTP_URL": "smtps://u:p@mail.example:465", "GROVE_MAIL_FROM": "Grove <a@b.example>"})
    assert (both.smtp_url, both.mail_from) == ("smtps://u:p@mail.example:465", "Grove <a@b.example>")


@pytest.mark.parametrize("missing", ["GROVE_SECRET_KEY", "GROVE_PUBLIC_URL"])
def test_a_given_database_asks_for_the_secret_and_the_public_address(missing: str) -> None:
    environ = {key: value for key, value in SERVED.items() if key != missing}

    with pytest.raises(SettingsError, match=f"^{missing} is required when DATABASE_URL is set"):
        load(environ)


def test_a_clients_database_is_known_by_the_clients_id() -> None:
    settings = load({"MAPLE_DB_URL": "postgresql://db.example/maple", "OLD_OAK_DB_URL": "postgres://db.example/oak"})

    assert settings.client_databases == {
        "maple": "postgresql://db.example/maple",
        "old-oak": "postgres://db.example/oak",
    }


def test_a_child_process_reads_the_same_settings_back() -> None:
    settings = load(
        SERVED
        | {
            "GROVE_DATA_DIR": "/var/lib/grove",
            "GROVE_WEB_PROCESSES": "3",
            "OLD_OAK_DB_URL": "postgresql://db.example/oak",
            "PROMETHEUS_MULTIPROC_DIR": "/run/metrics",
        }
    )

    assert load(to_environ(settings)) == settings


def test_whether_countries_are_looked_up_is_said_in_any_usual_way() -> None:
    said = [load({"ANALYTICS_ENABLE_GEO": text}).enable_geo for text in ("true", "Yes", "1", "False", "no", "0")]
    assert said == [True, True, True, False, False, False]


def test_what_is_neither_yes_nor_no_stops_the_start() -> None:
    with pytest.raises(SettingsError, match=r"^ANALYTICS_ENABLE_GEO must be true or false, not 'maybe'"):
        load({"ANALYTICS_ENABLE_GEO": "maybe"})


def test_the_retention_goes_by_two_names_of_which_our_own_counts() -> None:
    assert load({"ANALYTICS_RETENTION_DAYS": "90"}).retention_days == 90
    assert load({"ANALYTICS_RETENTION_DAYS": "90", "GROVE_RETENTION_DAYS": ""}).retention_days == 90
    assert load({"ANALYTICS_RETENTION_DAYS": "90", "GROVE_RETENTION_DAYS": "30"}).retention_days == 30
    with pytest.raises(SettingsError, match=r"^ANALYTICS_RETENTION_DAYS must be a whole number from 1 to 3650"):
        load({"ANALYTICS_RETENTION_DAYS": "0"})


def test_every_number_has_a_range_of_its_own() -> None:
    numbers = [name for name, kind in Settings.__annotations__.items() if kind is int]
    assert len(numbers) >= 9
    own = {"port": "PORT", "batch_size": "ANALYTICS_BATCH_SIZE"}
    for key in (own.get(name, f"GROVE_{name.upper()}") for name in numbers):
        with pytest.raises(SettingsError, match=f"^{key} must be a whole number from"):
            load({key: "1" + "0" * 30})


def test_what_must_be_known_by_now_is_asked_for_with_its_name() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        _ = Settings().main_url
    with pytest.raises(SettingsError, match="GROVE_SECRET_KEY"):
        _ = Settings().key_material


def test_the_base_address_is_the_public_one_without_a_slash_at_its_end() -> None:
    assert Settings(public_url="https://grove.example/").base_url == "https://grove.example"
    assert Settings(port=8123).base_url == "http://127.0.0.1:8123"
