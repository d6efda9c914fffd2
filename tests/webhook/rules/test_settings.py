"""Settings from the environment."""

from typing import Any

import pytest
from tornado.routing import PathMatches

from webhook.app import make_application
from webhook.http.origin import Hosts
from webhook.settings import (
    TAKEN_PATHS,
    Settings,
    SettingsError,
    settings_help,
    unknown_variables,
)


def test_nothing_set_gives_the_documented_defaults() -> None:
    settings = Settings.from_env({})
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.window_seconds == 1800
    assert settings.retention_seconds == 604_800


def test_each_setting_is_read_as_its_type() -> None:
    settings = Settings.from_env(
        {"WEBHOOK_ADDRESS": "[::1]:0", "WEBHOOK_DRAIN_SECONDS": "2.5", "WEBHOOK": "http://x"}
    )
    assert (settings.host, settings.port, settings.drain_seconds) == ("::1", 0, 2.5)


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("WEBHOOK_WINDOW_SECONDS", "1.5", "a whole number"),
        ("WEBHOOK_WINDOW_SECONDS", "-1", "more than 0"),
        ("WEBHOOK_MAX_EVENTS_PER_SECOND", "-1", "0 or more"),
        ("WEBHOOK_IDLE_SECONDS", "inf", "a finite number"),
        ("WEBHOOK_ADDRESS", "localhost", "host:port"),
        ("WEBHOOK_RETENTION_SECONDS", "2099", "at least 2100"),
        ("WEBHOOK_MAX_HELD_BYTES", "1000", "WEBHOOK_MAX_BODY_BYTES"),
        ("WEBHOOK_CONSUL", "127.0.0.1:8500", "http://host:port"),
        ("WEBHOOK_CONSUL", "http://127.0.0.1", "http://host:port"),
        ("WEBHOOK_CONSUL", "http://127.0.0.1:85000", "http://host:port"),
        ("WEBHOOK_CONSUL", "http://127.0.0.1:8500/v1", "http://host:port"),
        ("WEBHOOK_SERVICE", "", "letters"),
        ("WEBHOOK_SERVICE", "web/hook", "letters"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(variable: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({variable: value})
    assert f"{variable}={value}" in str(caught.value)
    assert allowed in str(caught.value)


def test_consul_is_named_by_its_url() -> None:
    assert Settings.from_env({}).consul == ""
    settings = Settings.from_env({"WEBHOOK_CONSUL": "http://[::1]:8500/"})
    assert settings.consul_address == ("::1", 8500)


def test_a_token_is_not_told() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"WEBHOOK_CONSUL_TOKEN": "se cret"})
    assert "WEBHOOK_CONSUL_TOKEN" in str(caught.value)
    assert "cret" not in str(caught.value)


def test_unknown_variables_are_found_with_what_they_resemble() -> None:
    assert unknown_variables(
        {"WEBHOOK_WINDOW_SECOND": "5", "WEBHOOK": "http://x", "WEBHOOK_STORE": "y", "PATH": "z"}
    ) == {"WEBHOOK_WINDOW_SECOND": "WEBHOOK_WINDOW_SECONDS"}


def test_the_help_names_every_setting() -> None:
    assert "WEBHOOK_WINDOW_SECONDS=1800\n" in settings_help()


def test_what_an_orchestrator_adds_for_its_services_is_no_mistake() -> None:
    for service in ("WEBHOOK", "WEBHOOK_RING"):
        added = {
            f"{service}_SERVICE_HOST": "10.96.0.7",
            f"{service}_SERVICE_PORT": "8080",
            f"{service}_SERVICE_PORT_HTTP": "8080",
            f"{service}_PORT": "tcp://10.96.0.7:8080",
            f"{service}_PORT_8080_TCP": "tcp://10.96.0.7:8080",
            f"{service}_PORT_8080_TCP_PROTO": "tcp",
            f"{service}_PORT_8080_TCP_PORT": "8080",
            f"{service}_PORT_8080_TCP_ADDR": "10.96.0.7",
        }
        assert unknown_variables(added) == {}
        assert Settings.from_env(added) == Settings.from_env({})


def test_a_port_that_somebody_sets_is_a_mistake() -> None:
    assert list(unknown_variables({"WEBHOOK_PORT": "9000"})) == ["WEBHOOK_PORT"]


def test_no_path_of_events_can_hide_a_route() -> None:
    """The handlers of events come first."""
    services: Any = None  # a route only hands them on
    application = make_application(services, [], Hosts(), None)
    matchers = [rule.matcher for rule in application.wildcard_router.rules]
    patterns = [one.regex.pattern.rstrip("$") for one in matchers if isinstance(one, PathMatches)]
    routes = {pattern for pattern in patterns if "(" not in pattern}

    assert routes == TAKEN_PATHS - {"/page"}
    for path in TAKEN_PATHS:
        with pytest.raises(SettingsError):
            Settings.from_env({"WEBHOOK_PATHS": path})
