"""`receipts scale simulate`: options, output and errors."""

import builtins
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from worker.workbench.commands import scale
from worker.workbench.commands.scale import app

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
    """The table has the headings and each policy's name."""
    shown = run().stdout
    for word in ("backlog-per-task", "cpu-70", "memory-forecast", "steps-cdk", "backlog-copilot", "keda-5", "p95"):
        assert word in shown


def test_only_the_requested_policies_run() -> None:
    """`--policy` may be repeated; the order of the list is kept."""
    chosen = run("--policy", "keda-5", "--policy", "backlog-per-task", "--json")
    assert [policy["name"] for policy in json.loads(chosen.stdout)["policies"]] == ["backlog-per-task", "keda-5"]


def day(tmp_path: Path, text: str, *args: str) -> Any:
    """Simulate the uploads of a file with the content `text`."""
    file = tmp_path / "day.csv"
    file.write_bytes(text.encode())
    return CliRunner().invoke(app, ["simulate", "--policy", "backlog-per-task", "--csv", str(file), *args])


@pytest.mark.parametrize(
    "text",
    [
        "minute,uploads\n0,10\n1,0\n2,32\n",
        "\ufeffuploads\r\n10\r\n0\r\n32",
        "\ufeff10\n0\n32\n",
        "\n10\n\n 0 \n32\n\n",
        "2026-01-01T23:59:00Z,10\n2026-01-02T00:00:00Z,0\n2026-01-02T00:01:00Z,32\n",
        "shop,minute,uploads\na,0,10\na,0,0\na,0,32\n",
    ],
)
def test_arrivals_come_from_a_file(tmp_path: Path, text: str) -> None:
    """A CSV file with counts in the last column is accepted with or without heading, BOM, CRLF, blanks and times."""
    answer = json.loads(day(tmp_path, text, "--json").stdout)
    assert (answer["uploads"], answer["minutes"]) == (42, 3)
    assert [policy["receipts"] for policy in answer["policies"]] == [42]


def test_a_file_gives_its_shape_to_more_uploads(tmp_path: Path) -> None:
    """`--uploads` sets the total number, for a file as for a profile."""
    assert json.loads(day(tmp_path, "10\n0\n30\n", "--uploads", "4000", "--json").stdout)["uploads"] == 4_000


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--profile", "friday"], "profile is 'friday'; it must be one of constant, burst, daily, monday"),
        (["--policy", "magic"], "policy is 'magic'; it must be one of backlog-per-task,"),
        (["--invoke-s", "0"], "invoke_s is 0; it must lie in (0, 60]"),
        (
            ["--invoke-s", "60"],
            "acceptable_latency_s is 60; it must be at least receipt_s, 60.5, the time of one receipt",
        ),
        (["--uploads", "-1"], "uploads is -1; it must lie in [0, 20000000]"),
        (["--uploads", "99999999999"], "uploads is 99999999999; it must lie in [0, 20000000]"),
        (["--picture", "day.pdf"], "picture is 'day.pdf'; its name must end in .svg or .png"),
        (["--picture", "/nowhere/day.svg"], "picture is '/nowhere/day.svg', which cannot be written"),
        (["--csv", "/nowhere/day.csv"], "/nowhere/day.csv: No such file or directory"),
        (["--csv", "/"], "/: Is a directory"),
    ],
)
def test_misuse_ends_with_2_and_one_line(args: list[str], message: str) -> None:
    """One line on stderr says what is wrong and what is allowed."""
    result = run("--policy", "backlog-per-task", *args) if "--policy" not in args else run(*args)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"receipts scale: {message}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": no uploads in it"),
        ("uploads\n", ": no uploads in it"),
        ("0\n0\n", ": no uploads in it"),
        ("a,b\n1,many\n", ":2: 'many' is not a count"),
        ("-5\n5\n", ":1: '-5' is not a count"),
        ("1.5\n5\n", ":1: '1.5' is not a count"),
        ("5\n²\n", ":2: '²' is not a count"),
        ("0,5\n2,5\n", ":2: '2' is not the next minute"),
        ("2026-01-01T00:00,5\n2026-01-01T01:00,5\n", ":2: '2026-01-01T01:00' is not the next minute"),
        ("5\n20000000\n", ":2: more than 20,000,000 uploads"),
        ("9" * 5_000 + "\n", ":1: more than 20,000,000 uploads"),
        ("0\n" * 527_042, ":527042: more than 527,040 minutes"),
        ("x" * 200_000, ": not a CSV file in UTF-8: field larger than field limit"),
    ],
)
def test_a_file_without_counts_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """One line names the invalid cell and its line number."""
    result = day(tmp_path, text)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"receipts scale: {tmp_path}/day.csv{message}")
    assert result.stderr.count("\n") == 1


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are refused with the file's name."""
    file = tmp_path / "day.csv"
    file.write_text("5\n", encoding="utf-16")
    result = run("--csv", str(file))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"receipts scale: {file}: not a CSV file in UTF-8: ")


def test_a_picture_that_cannot_be_drawn_is_refused_before_the_simulation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A picture that cannot be written is refused before the simulation starts."""
    monkeypatch.setattr(scale, "compare", None)
    assert run("--picture", str(tmp_path / "nowhere" / "day.svg")).exit_code == 2


def test_tasks_over_time_are_the_minutes_at_which_they_change() -> None:
    """The list starts at zero tasks and includes the largest number."""
    (policy,) = json.loads(run("--policy", "backlog-per-task", "--json").stdout)["policies"]
    assert policy["tasks_at_minute"]["0"] == 0
    assert max(policy["tasks_at_minute"].values()) == policy["most_tasks"] == 1


@pytest.mark.parametrize("name", ["day.svg", "day.png"])
def test_the_picture_is_drawn_and_is_the_same_again(tmp_path: Path, name: str) -> None:
    """The same numbers give the same bytes, so pictures in the documents can be checked."""
    pytest.importorskip("matplotlib")
    pictures = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        assert run("--policy", "keda-5", "--picture", str(tmp_path / folder / name)).exit_code == 0
        pictures.append((tmp_path / folder / name).read_bytes())
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) > 10_000


def test_a_picture_without_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without matplotlib the error says what to install."""
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
    """A simulation without a picture imports neither numpy nor matplotlib."""
    code = "import sys, worker.workbench.commands.scale; sys.exit(bool({'numpy', 'matplotlib'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
