"""The process around a worker."""

import resource
import subprocess
import sys
from collections.abc import Callable

import pytest

from worker.errors import SettingsError
from worker.runtime import process
from worker.settings import Settings


def limited(descriptors: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (min(descriptors, 20), descriptors))


def start(*, descriptors: int, in_flight: int) -> subprocess.CompletedProcess[str]:
    """Start `receipts worker` with a limit of file descriptors and a queue that does not exist."""
    environment = {
        "RECEIPTS_QUEUE_URL": "http://127.0.0.1:9/1/q",
        "RECEIPTS_ENDPOINT": "e",
        "RECEIPTS_MAX_IN_FLIGHT": str(in_flight),
        "PATH": "",
    }
    return subprocess.run(
        [sys.executable, "-m", "worker", "worker"],
        env=environment,
        preexec_fn=limited(descriptors),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_number_of_messages_that_the_descriptors_cannot_serve_is_refused() -> None:
    """One line names the setting, the limit and the largest number that works; the exit code is 2."""
    refused = start(descriptors=64, in_flight=32)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert "RECEIPTS_MAX_IN_FLIGHT: 32" in refused.stderr
    assert "set at most 5." in refused.stderr


@pytest.mark.parametrize(("in_flight", "hard", "fits"), [(5, 64, True), (6, 64, False), (1_000, 4_096, True)])
def test_the_hard_limit_counts(in_flight: int, hard: int, *, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The soft limit is raised to the hard one, and only that decides."""
    limits = [(20, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.append(wanted))
    settings = Settings(max_in_flight=in_flight)
    if fits:
        process._raise_descriptor_limit(settings)
    else:
        with pytest.raises(SettingsError, match="set at most 5"):
            process._raise_descriptor_limit(settings)
    assert limits[-1] == (hard, hard)


def test_a_limit_that_serves_no_message_is_to_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """No number of messages is recommended if none works."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (32, 32))
    with pytest.raises(SettingsError, match="Raise that limit") as raised:
        process._raise_descriptor_limit(Settings(max_in_flight=1))
    assert "set at most" not in str(raised.value)
