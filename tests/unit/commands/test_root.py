"""The command line as a whole: what it finds, how it fails."""

import subprocess
import sys

import pytest

from tests.support.command import receipts
from worker.commands import root
from worker.commands.settings import describe
from worker.settings import Settings


@pytest.mark.parametrize("verb", ["local", "submit", "worker", "doctor", "settings"])
def test_each_verb_explains_itself(verb: str) -> None:
    """A verb's help can be made and has a first sentence."""
    assert root.load(verb).help


def test_a_setting_that_cannot_work_is_refused_in_one_line() -> None:
    """Misuse by settings is one line on stderr, nothing on stdout, exit 2."""
    result = receipts("settings", "--check", RECEIPTS_DRAIN_S="99")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "RECEIPTS_DRAIN_S" in result.stderr


def test_the_list_of_settings_tells_what_is_refused() -> None:
    """The list is complete, and what a worker would refuse stands below it, with exit 2."""
    result = receipts("settings", RECEIPTS_BUKET="mine", RECEIPTS_TABLE="x")
    assert result.returncode == 2
    assert "RECEIPTS_LOG_FORMAT" in result.stdout
    assert "RECEIPTS_BUKET is no setting, RECEIPTS_BUCKET is" in result.stderr
    assert "RECEIPTS_TABLE: String should have at least 3 characters" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_worker_is_not_started_on_a_queue_that_is_none() -> None:
    """A queue's URL that cannot be one is refused before anything is asked of AWS: one line, exit 2."""
    result = receipts("worker", RECEIPTS_QUEUE_URL="garbage", RECEIPTS_ENDPOINT="e")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "RECEIPTS_QUEUE_URL" in result.stderr


def test_a_mistyped_verb_gets_a_suggestion() -> None:
    """Misuse by a verb that does not exist is exit 2 and names the nearest one."""
    result = receipts("setings")
    assert result.returncode == 2
    assert "'settings'" in result.stderr


def test_a_reader_that_leaves_early_is_no_error() -> None:
    """A closed pipe ends the command without a traceback."""
    command = f"{sys.executable} -m worker settings --json | head -n 1"
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout == "[\n"
    assert result.stderr == ""


def test_every_setting_is_described() -> None:
    """The list of settings has each of them once, with a description."""
    rows = describe()
    assert len(rows) == len(Settings.model_fields)
    assert all(row["description"] and row["type"] for row in rows)
