"""The settings: invalid ones are refused with one line that names what to change."""

from typing import Any

import pytest
from pydantic import ValidationError

from worker.errors import SettingsError
from worker.messages.consumer import ConsumerPolicy
from worker.settings import HAND_BACK_S, Settings, load


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"heartbeat_s": 60, "visibility_s": 120}, "RECEIPTS_HEARTBEAT_S"),
        ({"drain_s": 26, "stop_timeout_s": 30}, "RECEIPTS_DRAIN_S"),
        ({"breaker_failures": 7, "call_attempts": 6}, "RECEIPTS_BREAKER_FAILURES"),
        ({"backoff_base_s": 10, "backoff_cap_s": 5}, "RECEIPTS_BACKOFF_BASE_S"),
        ({"call_base_s": 10, "call_cap_s": 5}, "RECEIPTS_CALL_BASE_S"),
        ({"invocations": 33, "max_in_flight": 32}, "RECEIPTS_INVOCATIONS"),
        ({"max_side": 9_000, "max_tall_side": 8_000}, "RECEIPTS_MAX_SIDE"),
        ({"upload_limit_mib": 97, "memory_mib": 96}, "RECEIPTS_UPLOAD_LIMIT_MIB"),
        ({"receive_wait_s": 21}, "RECEIPTS_RECEIVE_WAIT_S"),
        ({"receive_wait_s": 0}, "RECEIPTS_RECEIVE_WAIT_S"),
        ({"protocol": "telepathy"}, "RECEIPTS_PROTOCOL"),
        ({"max_in_flight": "many"}, "RECEIPTS_MAX_IN_FLIGHT"),
        ({"queue_url": "garbage"}, "RECEIPTS_QUEUE_URL"),
        ({"queue_url": "https://sqs.eu-central-1.amazonaws.com/"}, "RECEIPTS_QUEUE_URL"),
        ({"queue_url": "sqs.eu-central-1.amazonaws.com/123456789012/receipts"}, "RECEIPTS_QUEUE_URL"),
        ({"table": "x"}, "RECEIPTS_TABLE"),
        ({"table": "my table"}, "RECEIPTS_TABLE"),
        ({"endpoint": "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/receipts"}, "RECEIPTS_ENDPOINT"),
        ({"endpoint": "receipts reader"}, "RECEIPTS_ENDPOINT"),
        ({"endpoint": "x" * 64}, "RECEIPTS_ENDPOINT"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_line(values: dict[str, object], named: str) -> None:
    """The error is one line that names the setting to change."""
    with pytest.raises(SettingsError) as caught:
        load(**values)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_errors_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names every wrong setting, including misspelt ones, so that one restart is enough."""
    monkeypatch.setenv("RECEIPTS_BUKET", "mine")
    with pytest.raises(SettingsError) as caught:
        load(table="x", max_in_flight="many")
    for name in ("RECEIPTS_BUCKET", "RECEIPTS_TABLE", "RECEIPTS_MAX_IN_FLIGHT"):
        assert name in str(caught.value)
    with pytest.raises(SettingsError) as caught:
        load(drain_s=26, backoff_base_s=10, backoff_cap_s=5)
    for name in ("RECEIPTS_BUCKET", "RECEIPTS_DRAIN_S", "RECEIPTS_BACKOFF_BASE_S"):
        assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_defaults_work() -> None:
    """The defaults are consistent with each other."""
    Settings()


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable is named RECEIPTS_ and the setting; an empty one counts as unset."""
    monkeypatch.setenv("RECEIPTS_MAX_IN_FLIGHT", "7")
    monkeypatch.setenv("RECEIPTS_INVOCATIONS", "")
    monkeypatch.setenv("RECEIPTS_CHAT_EXTRA", '{"top_k": 1}')
    settings = load()
    assert (settings.max_in_flight, settings.invocations, settings.chat_extra) == (7, None, {"top_k": 1})


def test_invalid_json_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with invalid JSON is a settings error, not a traceback."""
    monkeypatch.setenv("RECEIPTS_CHAT_EXTRA", "{top_k: 1}")
    with pytest.raises(SettingsError, match="RECEIPTS_CHAT_EXTRA: the value is not valid JSON"):
        load()


def test_a_missing_setting_is_named() -> None:
    """The error says which variable is missing and what it means."""
    with pytest.raises(SettingsError, match=r"RECEIPTS_ENDPOINT is not set\. Name of"):
        Settings(endpoint=None).require("table", "endpoint")


@pytest.mark.parametrize("protocol", ["image", "chat", "textract"])
def test_pictures_as_base64_fit_the_body(protocol: str) -> None:
    """Prepared pages of the largest allowed size fit the endpoint's body in every protocol."""
    settings = load(protocol=protocol)
    assert settings.image_limit * 4 / 3 <= settings.endpoint_body_limit * 15 / 16


def test_a_misspelt_setting_is_refused_with_the_right_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable is an error that suggests the right name, because its author believes that it is set."""
    monkeypatch.setenv("RECEIPTS_VISIBILTY_S", "60")
    with pytest.raises(SettingsError, match="did you mean RECEIPTS_VISIBILITY_S"):
        load()


def test_a_stop_ends_within_its_time() -> None:
    """The consumer's grace times besides the drain fit into the time reserved for them."""
    assert ConsumerPolicy.poll_grace_s + ConsumerPolicy.hand_back_s < HAND_BACK_S


def test_a_mistyped_argument_is_refused() -> None:
    """A program that embeds a worker learns of a setting that does not exist."""
    mistyped: Any = {"quue_url": "https://sqs.eu-central-1.amazonaws.com/1/q"}
    with pytest.raises(ValidationError, match="quue_url"):
        Settings(**mistyped)
