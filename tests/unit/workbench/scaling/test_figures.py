"""The figures of docs/scaling.md match the simulator."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from worker.workbench.scaling.contenders import OURS
from worker.workbench.scaling.profiles import PROFILES

Numbers = dict[str, Any]
HERE = Path(__file__).parents[4] / "docs" / "scaling"
CURE = "run: make figures"


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("figures", HERE / "figures.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def numbers() -> Numbers:
    loaded: Numbers = json.loads((HERE / "figures.json").read_text("utf-8"))
    return loaded


def test_the_burst_and_its_picture_are_up_to_date(figures: ModuleType, numbers: Numbers, tmp_path: Path) -> None:
    """Every policy on the burst gives the committed numbers, which give the committed picture."""
    pytest.importorskip("matplotlib")
    assert figures.profile_rows("burst", draw_into=tmp_path) == numbers["profiles"]["burst"], CURE
    assert (tmp_path / "burst.svg").read_bytes() == (HERE / "burst.svg").read_bytes(), CURE


def test_our_tuned_settings_are_up_to_date(figures: ModuleType, numbers: Numbers) -> None:
    """The numbers behind the comparison at equal task-hours match the simulator."""
    assert figures.tuned_rows("burst") == numbers["equal_hours"]["burst"], CURE


@pytest.mark.parametrize("table", ["zero", "endpoint", "protection", "large"])
def test_the_other_tables_are_up_to_date(figures: ModuleType, numbers: Numbers, table: str) -> None:
    """The tables on scaling to zero, the endpoint's limit, protection and 100 million uploads match the simulator."""
    make = getattr(figures, f"{table}_row" if table == "large" else f"{table}_rows")
    assert make() == numbers[table], CURE


@pytest.mark.parametrize("profile", sorted(set(PROFILES) - {"burst"}))
def test_our_policy_on_the_other_profiles_is_up_to_date(figures: ModuleType, numbers: Numbers, profile: str) -> None:
    """Our policy gives the committed numbers on every profile; `make figures ARGS=--check` compares the others."""
    assert figures.profile_rows(profile, only=[OURS]) == numbers["profiles"][profile][:1], CURE


def test_the_documents_show_the_committed_numbers(figures: ModuleType, numbers: Numbers) -> None:
    """Their tables match figures.json, and the pictures were drawn from it."""
    for path, names in figures.DOCUMENTS.items():
        document = path.read_text("utf-8")
        assert document.count("<!-- figures: ") == len(names)
        assert figures.fill(document, numbers, names) == document, CURE
    assert {profile: figures.digest(HERE / f"{profile}.svg") for profile in PROFILES} == numbers["pictures"], CURE


def test_the_simulator_drains_as_the_real_worker_did() -> None:
    """The simulated drain time is within a tenth of what `make calibrate` measured."""
    runs = json.loads((HERE / "calibration.json").read_text("utf-8"))["runs"]
    assert [run["workers"] for run in runs] == [1, 2]
    for run in runs:
        assert run["simulated_drain_s"] == pytest.approx(run["drain_s"], rel=0.1)


def test_only_those_that_see_the_queue_itself_beat_ours(figures: ModuleType, numbers: Numbers) -> None:
    """At equal task-hours, no policy on CloudWatch's data has a shorter 95th percentile, as the document claims."""
    longer = {
        row["name"]
        for profile, rows in numbers["profiles"].items()
        for row in rows
        if row["p95_s"] is not None
        and figures.best_within(row["task_hours"], numbers["equal_hours"][profile])["p95_s"] > row["p95_s"]
    }
    assert longer == {"backlog-live", "keda-5"}
