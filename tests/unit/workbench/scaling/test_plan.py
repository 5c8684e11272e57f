"""The numbers for AWS follow from the policy: with them, AWS decides as the policy does."""

import itertools
import json
import math
import re
from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from worker.workbench.commands.scale import app
from worker.workbench.scaling.autoscaling import DataPoint
from worker.workbench.scaling.contenders import shortfall, surplus
from worker.workbench.scaling.plan import MAX_STEPS, plan
from worker.workbench.scaling.policy import Backlog, ScalingPolicy, desired_tasks


def evaluate(expression: str, **metrics: float) -> float:
    """Return the value of metric math, as CloudWatch computes it."""
    names = {
        "CEIL": math.ceil,
        "IF": lambda test, yes, no: yes if test else no,
        "FILL": lambda value, _: value,
        "sent": 0,
        **metrics,
    }
    return float(eval(expression.replace(" AND ", " and "), {"__builtins__": {}}, names))


@given(st.integers(0, 100_000), st.integers(0, 3_000), st.integers(1, 200), st.floats(0.5, 60), st.floats(1, 100))
def test_target_tracking_arrives_where_the_policy_does(
    visible: int, in_flight: int, running: int, receipt_s: float, times: float
) -> None:
    """Target tracking (capacity times metric over target) arrives at the number that the policy desires."""
    policy = ScalingPolicy(receipt_s=receipt_s, acceptable_latency_s=receipt_s * times, max_tasks=5_000)
    numbers = plan(policy)
    metric = evaluate(numbers.backlog_metric, visible=visible, in_flight=in_flight, tasks=running)
    wanted = min(running * metric / numbers.backlog_per_task, numbers.max_tasks)
    assert abs(wanted - desired_tasks(Backlog(visible=visible, in_flight=in_flight), policy)) <= 1 + 0.01 * wanted


@given(st.integers(0, 100_000), st.integers(0, 3_000), st.integers(0, 200))
def test_the_two_alarms_never_fire_at_once(visible: int, in_flight: int, tasks: int) -> None:
    """Shortfall and surplus exclude each other, so one policy never removes what the other one adds."""
    numbers = plan(ScalingPolicy(receipt_s=4))
    found = {"visible": visible, "in_flight": in_flight, "tasks": tasks}
    assert evaluate(numbers.shortfall_metric, **found) < 1 or evaluate(numbers.surplus_metric, **found) < 1


@given(st.integers(0, 100_000), st.integers(0, 3_000), st.integers(0, 200), st.integers(0, 2))
def test_the_simulator_decides_by_the_same_metric_math(visible: int, in_flight: int, tasks: int, sent: int) -> None:
    """The simulated metrics equal the metric math of Terraform's alarms."""
    numbers = plan(ScalingPolicy(receipt_s=3.7))
    point = DataPoint(visible, in_flight, tasks, tasks, sent, None)
    found = {"visible": visible, "in_flight": in_flight, "tasks": tasks, "sent": sent}
    assert shortfall(numbers, point) == evaluate(numbers.shortfall_metric, **found)
    assert surplus(numbers, point) == evaluate(numbers.surplus_metric, **found)


@given(st.integers(1, 200))
def test_an_empty_queue_removes_every_task(tasks: int) -> None:
    """With an empty queue the surplus is the whole fleet, so zero is reached."""
    empty = {"visible": 0, "in_flight": 0, "tasks": tasks}
    metric = plan(ScalingPolicy(receipt_s=4)).surplus_metric
    assert evaluate(metric, **empty) == tasks
    assert evaluate(metric, **empty, sent=1) == tasks - 1


@given(st.integers(1, 1_000_000), st.integers(1, 5_000))
def test_the_first_message_and_the_first_burst_leave_zero(visible: int, max_tasks: int) -> None:
    """At zero tasks the alarm's metric equals the desired number, and a step covers it."""
    policy = ScalingPolicy(receipt_s=4, max_tasks=max_tasks)
    numbers = plan(policy)
    shortfall = evaluate(numbers.shortfall_metric, visible=visible, in_flight=0, tasks=0)
    assert shortfall >= 1
    (step,) = (s for s in numbers.steps if s.from_tasks <= shortfall < (s.to_tasks or math.inf))
    desired = desired_tasks(Backlog(visible=visible, in_flight=0), policy)
    assert 1 <= step.tasks <= desired


@given(st.integers(1, 5_000))
def test_steps_cover_every_shortfall_without_a_gap(max_tasks: int) -> None:
    """Steps are contiguous, stay within AWS's limit, and add at least half of the shortfall."""
    steps = plan(ScalingPolicy(receipt_s=4, slots_per_task=24, max_tasks=max_tasks)).steps
    assert len(steps) <= MAX_STEPS
    assert steps[0].from_tasks == 1
    assert steps[-1].to_tasks is None
    assert steps[-1].tasks == max_tasks
    for step, following in itertools.pairwise(steps):
        assert step.to_tasks == following.from_tasks
        assert following.from_tasks - 1 <= 2 * step.tasks


@given(st.floats(0.001, 43_200), st.floats(1, 1_000), st.integers(1, 1_000), st.floats(0.1, 1))
def test_metric_math_has_the_numbers_as_terraform_writes_them(
    receipt_s: float, times: float, slots: int, busy: float
) -> None:
    """Terraform's own expressions, used without tfvars, equal the plan's: all digits, no exponent."""
    latency_s = min(receipt_s * times, 1_209_600)
    assume(latency_s >= receipt_s)
    numbers = plan(
        ScalingPolicy(receipt_s=receipt_s, acceptable_latency_s=latency_s, slots_per_task=slots, busy_share=busy)
    )
    found = re.findall(r"[\d.e+]+(?= \* in_flight)|(?<=/ )[\d.e+]+", numbers.shortfall_metric)
    written = [format(Decimal(str(n)), "f") for n in (numbers.in_flight_weight, numbers.backlog_per_task)]
    assert found == [text.removesuffix(".0") for text in written]


def test_the_endpoint_bounds_what_terraform_may_start() -> None:
    """The plan's maximum is the largest useful number, not the allowed one."""
    assert plan(ScalingPolicy(receipt_s=4, endpoint_receipts_per_s=10, max_tasks=50)).max_tasks == 2


def test_json_and_tfvars_say_the_same() -> None:
    """Every number of the JSON is in the variable file."""
    runner = CliRunner()
    numbers = json.loads(runner.invoke(app, ["plan", "--receipt-s", "4", "--json"]).stdout)
    tfvars = runner.invoke(app, ["plan", "--receipt-s", "4", "--tfvars"]).stdout
    assert tfvars.startswith("scaling = {\n")
    for name, value in numbers.items():
        if name != "steps":
            assert f"{name} = {json.dumps(value)}" in " ".join(tfvars.split())
    assert numbers["backlog_per_task"] == 384
    assert tfvars.count("from_tasks") == len(numbers["steps"]) == 10


def test_the_table_names_the_target() -> None:
    """The table has the target value and the fleet's bounds."""
    shown = CliRunner().invoke(app, ["plan", "--receipt-s", "4", "--max-tasks", "7"]).stdout
    assert "384 waiting messages per task" in shown
    assert "0 to 7" in shown


def test_an_input_that_cannot_work_ends_with_2_and_one_line() -> None:
    """An input that the policy refuses is one line and exit code 2."""
    result = CliRunner().invoke(app, ["plan", "--busy-share", "2"])
    assert result.exit_code == 2
    assert result.stderr == "receipts scale: busy_share is 2; it must lie in [0.1, 1]\n"
