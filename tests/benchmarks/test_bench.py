"""A small bench that checks counts and ratios. Times need `make bench` on a quiet machine."""

import json
import sys
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as command
from tests.benchmarks.bench import Bench
from tests.benchmarks.contenders import bare, worker
from tests.benchmarks.figures import peers
from tests.benchmarks.sampling import sample
from tests.benchmarks.serving import passing

SLOTS = 16
COUNT = 60


def test_a_receipt_takes_the_expected_calls(tmp_path: Path) -> None:
    """The worker makes the calls of the floor, batches those of the queue, and uses less than 5 times its CPU."""
    made = {}
    for contender in (worker(), bare("floor", client="aioboto3", calls="same")):
        made[contender.name] = sample(
            contender, picture=passing(tmp_path), scratch=tmp_path, count=COUNT, slots=SLOTS, service_s=0.05
        )
    mine, floor = made["worker"], made["floor"]
    for name in ("get_object", "invoke_endpoint", "UpdateItem", "Query", "PutItem"):
        assert abs(mine.calls[name] - floor.calls[name]) < 0.5, name
    assert mine.calls["ReceiveMessage"] + mine.calls["DeleteMessageBatch"] < 2
    assert set(mine.calls) == set(floor.calls)
    assert mine.cpu_ms < 5 * floor.cpu_ms


def test_the_worker_strands_and_loses_nothing(tmp_path: Path) -> None:
    """A stop releases unfinished messages, and a message that fails once is stored in the end."""
    bench = Bench(runs=1, quick=True, scratch=tmp_path, tell=lambda _: None)
    contender = worker(backoff_base_s=0.5)
    assert peers.stranded(contender, bench) == 0
    assert peers.lost(contender, bench) == 0


def test_a_figure_that_the_machine_cannot_measure_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without podman the container figure is skipped with its reason; if it was requested by name, the bench fails."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(command, "FIGURES", ("container",))
    monkeypatch.setattr(sys, "argv", ["bench"])
    assert command.main() == 0
    assert json.loads(command.OUTPUT.read_text())["left_out"] == {"container": "podman is not installed"}
    monkeypatch.setattr(sys, "argv", ["bench", "container"])
    assert command.main() == 2
