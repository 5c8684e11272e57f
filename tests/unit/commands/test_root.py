"""The command line as a whole: verbs, errors and exit codes."""

import subprocess
import sys

import pytest

from tests.support.command import receipts
from worker.commands import root
from worker.commands.settings import describe
from worker.settings import Settings


@pytest.mark.parametrize("verb", ["local", "submit", "worker", "doctor", "settings"])
def test_each_verb_explains_itself(verb: str) -> None:
    """Each verb has a help text."""
    assert root.load(verb).help


def test_a_setting_that_cannot_work_is_refused_in_one_line() -> None:
    """A wrong setting is one line on stderr, nothing on stdout, and exit 2."""
    result = receipts("settings", "--check", RECEIPTS_DRAIN_S="99")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "RECEIPTS_DRAIN_S" in result.stderr


def test_the_list_of_settings_reports_errors() -> None:
    """The list is complete; errors in the settings follow it, with exit 2."""
    result = receipts("settings", RECEIPTS_BUKET="mine", RECEIPTS_TABLE="x")
    assert result.returncode == 2
    assert "RECEIPTS_LOG_FORMAT" in result.stdout
    assert "unknown setting RECEIPTS_BUKET; did you mean RECEIPTS_BUCKET?" in result.stderr
    assert "RECEIPTS_TABLE: String should have at least 3 characters" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_worker_refuses_an_invalid_queue_url() -> None:
    """An invalid queue URL is refused before any call to AWS: one line, exit 2."""
    result = receipts("worker", RECEIPTS_QUEUE_URL="garbage", RECEIPTS_ENDPOINT="e")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "RECEIPTS_QUEUE_URL" in result.stderr


def test_a_mistyped_verb_gets_a_suggestion() -> None:
    """A verb that does not exist is exit 2 and names the nearest one."""
    result = receipts("setings")
    assert result.returncode == 2
    assert "'settings'" in result.stderr


def test_a_closed_pipe_is_not_an_error() -> None:
    """A closed pipe ends the command without a traceback."""
    command = f"{sys.executable} -m worker settings --json | head -n 1"
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout == "[\n"
    assert result.stderr == ""


def test_every_setting_is_described() -> None:
    """The list has each setting once, with a type and a description."""
    rows = describe()
    assert len(rows) == len(Settings.model_fields)
    assert all(row["description"] and row["type"] for row in rows)
