"""`receipts scale simulate` as people and programs use it."""

import builtins
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from worker.commands.scale import app

SMALL = ["simulate", "--profile", "burst", "--uploads", "2000", "--max-tasks", "4"]


def run(*args: str) -> Any:
    return CliRunner().invoke(app, [*SMALL, *args])


def test_json_has_the_keys_that_programs_read() -> None:
    """Each policy has a name, percentiles in seconds, task-hours, throttles and dollars."""
    policies = json.loads(run("--json").stdout)["policies"]
    assert [policy["name"] for policy in policies][:2] == ["backlog-per-task", "backlog-live"]
    assert len(policies) == 8
    for policy in policies:
        assert {"name", "p50_s", "p95_s", "p99_s", "task_hours", "throttles", "cost_usd"} <= policy.keys()
        assert policy["unfinished"] or policy["p50_s"] <= policy["p95_s"]
        assert policy["cost_usd"] > 0


def test_the_table_has_a_row_for_each_policy() -> None:
    """People see every policy's name and the headings."""
    shown = run().stdout
    for word in ("backlog-per-task", "cpu-70", "memory-forecast", "steps-cdk", "backlog-copilot", "keda-5", "p95"):
        assert word in shown


def test_only_the_policies_asked_for_run() -> None:
    """`--policy` may be given again and keeps the order of the list."""
    chosen = run("--policy", "keda-5", "--policy", "backlog-per-task", "--json")
    assert [policy["name"] for policy in json.loads(chosen.stdout)["policies"]] == ["backlog-per-task", "keda-5"]


def test_arrivals_come_from_a_file(tmp_path: Path) -> None:
    """A CSV with a heading and the counts in its last column is the day that is simulated."""
    file = tmp_path / "day.csv"
    file.write_text("minute,uploads\n0,10\n1,0\n2,32\n", encoding="utf-8")
    answer = json.loads(run("--csv", str(file), "--json").stdout)
    assert (answer["uploads"], answer["minutes"]) == (42, 3)
    assert {policy["receipts"] for policy in answer["policies"]} == {42}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--profile", "friday"], "profile is 'friday'; it must be one of constant, burst, daily, monday"),
        (["--policy", "magic"], "policy is 'magic'; it must be one of backlog-per-task,"),
        (["--invoke-s", "0"], "invoke_s is 0; it must lie in (0, 60]"),
        (["--picture", "day.pdf"], "picture is 'day.pdf'; its name must end in .svg or .png"),
    ],
)
def test_misuse_ends_with_2_and_one_line(args: list[str], message: str) -> None:
    """What is wrong and what is allowed, on one line of stderr."""
    result = run("--policy", "backlog-per-task", *args) if "--policy" not in args else run(*args)
    assert result.exit_code == 2
    assert f"receipts scale: {message}" in result.stderr


@pytest.mark.parametrize("text", ["uploads\n", "a,b\n1,many\n"])
def test_a_file_without_counts_is_refused(tmp_path: Path, text: str) -> None:
    """An empty day or a word where a count should be is named with its place."""
    file = tmp_path / "day.csv"
    file.write_text(text, encoding="utf-8")
    result = run("--csv", str(file))
    assert result.exit_code == 2
    assert str(file) in result.stderr


@pytest.mark.parametrize("name", ["day.svg", "day.png"])
def test_the_picture_is_drawn_and_is_the_same_again(tmp_path: Path, name: str) -> None:
    """The same numbers give the same bytes, so that a picture in the documents can be checked."""
    pytest.importorskip("matplotlib")
    pictures = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        assert run("--policy", "keda-5", "--picture", str(tmp_path / folder / name)).exit_code == 0
        pictures.append((tmp_path / folder / name).read_bytes())
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) > 10_000


def test_a_picture_without_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without matplotlib the command says what to install."""
    real = builtins.__import__

    def absent(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    result = run("--picture", str(tmp_path / "day.svg"))
    assert result.exit_code == 2
    assert "pip install 'receipts-worker[analysis]'" in result.stderr


def test_the_command_starts_without_numpy_and_matplotlib() -> None:
    """A simulation without a picture needs neither, and so does the worker image."""
    code = "import sys, worker.commands.scale; sys.exit(bool({'numpy', 'matplotlib'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
