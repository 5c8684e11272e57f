from pathlib import Path

import pytest

from tests.benchmarks import document
from tests.benchmarks.bench import Result
from tests.benchmarks.spread import Goal

PLACES = "before\n" + "".join(
    f"<!-- {name} -->\nold\n<!-- end of {name} -->\nafter {name}\n"
    for name in ("machine", "figures", "efficiency", "peers")
)


@pytest.fixture
def bench() -> dict[str, object]:
    """Figures of each kind, in the format of build/bench.json."""
    result = Result()
    result.add("start_s", of=[1.0, 1.2, 1.1], what="start", unit="s", goal=Goal("<=", 1.05))
    result.add("efficiency", "8", "0.5", of=[0.9], what="efficiency", digits=3, goal=Goal(">=", 0.95))
    result.add("efficiency_lognormal", "8", "0.5", of=[0.99], what="efficiency", digits=3)
    result.add("peers", "celery", "per_s", of=[50.0, 60.0])
    result.add("peers", "celery", "cpu_ms", of=[7.0])
    result.medians["peers"]["celery"] |= {"barrier_s": 2.5, "stranded": 3, "lost": 4}
    machine = {"cores": 2, "cpu": "a CPU", "system": "Linux", "python": "3.11"}
    measured = {"start_s": {"at": "2026-03-04T10:00:00+00:00", "quick": False}}
    return result.medians | {"spread": result.spreads, "machine": machine, "measured": measured}


def test_new_figures_replace_the_old_tables(tmp_path: Path, bench: dict[str, object]) -> None:
    """Each table has the new figures, a missed goal is named, and the text around them stays."""
    path = tmp_path / "performance.md"
    path.write_text(PLACES)
    document.write(bench, path)
    text = path.read_text()
    assert "old" not in text
    assert [line for line in text.splitlines() if line.startswith(("before", "after"))] == [
        line for line in PLACES.splitlines() if line.startswith(("before", "after"))
    ]
    assert "| start | 1.1 s (1 to 1.2) | <= 1.05, **missed** |" in text
    assert "| 8, constant | 0.900 (0.900 to 0.900, **missed**) |" in text
    assert "| 8, lognormal | 0.990 (0.990 to 0.990) |" in text
    assert "| celery | 55 (50 to 60) | 7 (7 to 7) | 2.5 | 3 | 4 |" in text
    assert "2 cores (a CPU), Linux, Python 3.11; 2026-03-04." in text
    document.write(bench, path)
    assert path.read_text() == text


def test_a_document_without_a_place_is_refused(tmp_path: Path, bench: dict[str, object]) -> None:
    """Without a place for a table, the document is refused."""
    path = tmp_path / "performance.md"
    path.write_text(PLACES.replace("<!-- end of peers -->", ""))
    with pytest.raises(ValueError, match="no place for peers"):
        document.write(bench, path)
