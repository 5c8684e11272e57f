"""The simulation of the same uploads under several policies."""

from collections.abc import Callable, Iterator, Sequence

from worker.workbench.scaling.autoscaling import Autoscaler
from worker.workbench.scaling.outcome import Outcome, summarise
from worker.workbench.scaling.profiles import upload_times
from worker.workbench.scaling.scenario import Scenario
from worker.workbench.scaling.simulator import Run, simulate


def compare(
    scenario: Scenario, counts: Sequence[int], policies: dict[str, Callable[[], Autoscaler]]
) -> Iterator[tuple[Outcome, Run]]:
    """Yield the outcome and run of each policy, all on the same uploads (`counts` per minute)."""
    uploads = upload_times(counts, seed=scenario.seed)
    for name, make in policies.items():
        run = simulate(scenario, uploads, make(), length_s=60.0 * len(counts))
        yield summarise(name, run, scenario), run
