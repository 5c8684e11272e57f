"""The worker accepts the settings that Terraform gives it."""

import json
from typing import Any

import pytest

from tests.infra.offline import State
from worker.settings import Settings, load


def test_express_mode_gives_settings_that_work(express: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """In express/, one process is worker and console, drains within 30 s, and has its token."""
    (service,) = express.resources("aws_ecs_express_gateway_service").values()
    settings = _settings(service["primary_container"][0]["environment"], monkeypatch, token=True)
    assert settings.console
    assert settings.drain_s < settings.stop_timeout_s == 30
    assert [secret["name"] for secret in service["primary_container"][0]["secret"]] == ["RECEIPTS_API_TOKEN"]


@pytest.mark.parametrize("part", ["worker", "console"])
def test_custom_mode_gives_settings_that_work(part: str, custom: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """In custom/, workers run without a console and drain within the stop timeout, and the console has its token."""
    address = "module.worker" if part == "worker" else "module.console[0]"
    task = custom.one(f"{address}.aws_ecs_task_definition.{part}")
    (container,) = json.loads(task["container_definitions"])
    settings = _settings(container["environment"], monkeypatch, token=part == "console")
    assert settings.console is (part == "console")
    assert settings.drain_s < settings.stop_timeout_s == container["stopTimeout"]
    assert [secret["name"] for secret in container.get("secrets", [])] == ["RECEIPTS_API_TOKEN"] * settings.console


def _settings(environment: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, *, token: bool) -> Settings:
    """Return the settings that the process would load; none may be unknown."""
    given = {pair["name"]: pair["value"] for pair in environment}
    known = {f"RECEIPTS_{name.upper()}" for name in Settings.model_fields}
    assert given.keys() <= known
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    if token:
        monkeypatch.setenv("RECEIPTS_API_TOKEN", "sixteen characters or more")
    settings = load()
    settings.require("queue_url", "bucket", "endpoint")
    return settings
