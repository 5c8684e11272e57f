"""`receipts scale`: the numbers for autoscaling, and a simulation of their effect."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from worker.workbench.scaling.autoscaling import Autoscaler
from worker.workbench.scaling.comparison import compare
from worker.workbench.scaling.contenders import contenders
from worker.workbench.scaling.outcome import Outcome
from worker.workbench.scaling.picture import check, draw
from worker.workbench.scaling.plan import ScalingPlan
from worker.workbench.scaling.plan import plan as make_plan
from worker.workbench.scaling.policy import ScalingPolicy
from worker.workbench.scaling.profiles import PROFILES, counts_a_minute, read_counts, spread
from worker.workbench.scaling.scenario import EndpointModel, Prices, Scenario, WorkerModel

CAPTION = (
    "Columns: seconds from upload to result (p50 to worst), largest age of a waiting message in seconds, largest "
    "number of tasks, task-hours, throttles of the endpoint, US dollars for fleet, endpoint and queue."
)

app = typer.Typer(no_args_is_help=True, add_completion=False)

ReceiptS = Annotated[
    float, typer.Option(help="Mean seconds for which a receipt holds a slot: fetch, prepare, invoke, store.")
]
Slots = Annotated[int, typer.Option(help="Receipts that one task processes concurrently.")]
LatencyS = Annotated[float, typer.Option(help="Seconds within which the fleet is sized to clear the backlog.")]
BusyShare = Annotated[float, typer.Option(help="Target share of busy slots at steady load.")]
EndpointRate = Annotated[
    float | None,
    typer.Option(help="Receipts per second of the endpoint at its largest size.", show_default="no limit"),
]
MinTasks = Annotated[int, typer.Option(help="Smallest number of tasks; 0 allows an idle fleet to stop entirely.")]
MaxTasks = Annotated[int, typer.Option(help="Largest number of tasks.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def scale() -> None:
    """Size the fleet: numbers for autoscaling, and a simulation of their effect."""


@app.command()
def plan(
    *,
    receipt_s: ReceiptS = 4.0,
    slots_per_task: Slots = 32,
    acceptable_latency_s: LatencyS = 60.0,
    busy_share: BusyShare = 0.8,
    endpoint_receipts_per_s: EndpointRate = None,
    min_tasks: MinTasks = 0,
    max_tasks: MaxTasks = 10,
    task_start_s: Annotated[
        float, typer.Option(help="Seconds from the scaling decision to a task's first receive.")
    ] = 60.0,
    scale_in_minutes: Annotated[
        int, typer.Option(help="Minutes for which a surplus must last before it is removed.")
    ] = 5,
    as_json: AsJson = False,
    tfvars: Annotated[bool, typer.Option(help="Print a Terraform variable file.")] = False,
) -> None:
    """Print the numbers that target tracking and step scaling need for these inputs.

    For Terraform: `receipts scale plan --tfvars > scaling.auto.tfvars`
    """
    if as_json and tfvars:
        refuse("--json and --tfvars exclude each other; give one of them")
    try:
        policy = ScalingPolicy(
            receipt_s=receipt_s,
            slots_per_task=slots_per_task,
            acceptable_latency_s=acceptable_latency_s,
            busy_share=busy_share,
            endpoint_receipts_per_s=endpoint_receipts_per_s,
            min_tasks=min_tasks,
            max_tasks=max_tasks,
        )
        numbers = make_plan(policy, task_start_s=task_start_s, scale_in_minutes=scale_in_minutes)
    except ValueError as error:
        refuse(error)
    if as_json:
        typer.echo(json.dumps(numbers.as_dict(), indent=2))
    elif tfvars:
        typer.echo(numbers.as_tfvars(), nl=False)
    else:
        _show(numbers)


@app.command()
def simulate(
    *,
    profile: Annotated[str, typer.Option(help=f"Profile of uploads: {', '.join(PROFILES)}.")] = "daily",
    csv: Annotated[
        Path | None, typer.Option(help="CSV file to use instead: one row per minute, uploads in the last column.")
    ] = None,
    uploads: Annotated[
        int | None, typer.Option(help="Total number of uploads.", show_default="from the profile or file")
    ] = None,
    policy: Annotated[list[str] | None, typer.Option(help="Simulate only this policy; may be repeated.")] = None,
    acceptable_latency_s: LatencyS = 60.0,
    busy_share: BusyShare = 0.8,
    min_tasks: MinTasks = 0,
    max_tasks: MaxTasks = 20,
    slots_per_task: Slots = WorkerModel().slots,
    vcpu: Annotated[float, typer.Option(help="vCPUs per task.")] = WorkerModel().vcpu,
    memory_gb: Annotated[float, typer.Option(help="Gigabytes of memory per task.")] = WorkerModel().memory_gb,
    cpu_s_per_receipt: Annotated[
        float, typer.Option(help="CPU seconds per receipt on a task.")
    ] = WorkerModel().cpu_s_per_receipt,
    protection: Annotated[bool, typer.Option(help="Protect working tasks from scale-in.")] = True,
    invoke_s: Annotated[float, typer.Option(help="Mean seconds per invocation.")] = EndpointModel().invoke_s,
    variation: Annotated[
        float, typer.Option(help="Standard deviation of that time over its mean.")
    ] = EndpointModel().variation,
    concurrency: Annotated[
        int, typer.Option(help="Concurrent invocations per instance.")
    ] = EndpointModel().concurrency,
    min_instances: Annotated[
        int, typer.Option(help="Smallest number of endpoint instances.")
    ] = EndpointModel().min_instances,
    max_instances: Annotated[
        int, typer.Option(help="Largest number of endpoint instances.")
    ] = EndpointModel().max_instances,
    instance_start_s: Annotated[
        float, typer.Option(help="Seconds until a new instance is in service.")
    ] = EndpointModel().start_s,
    metric_delay_s: Annotated[
        int, typer.Option(help="Age of the newest data point that an alarm sees, seconds.")
    ] = Scenario().metric_delay_s,
    queue_kept_awake: Annotated[
        bool, typer.Option(help="Assume that a client reads the queue's attributes at least every six hours.")
    ] = True,
    vcpu_hour: Annotated[
        float, typer.Option(help="US dollars. Default: Fargate, us-east-1, March 2026.")
    ] = Prices().vcpu_hour,
    gb_hour: Annotated[
        float, typer.Option(help="US dollars. Default: Fargate, us-east-1, March 2026.")
    ] = Prices().gb_hour,
    instance_hour: Annotated[
        float, typer.Option(help="US dollars. Default: ml.g6.2xlarge, us-west-2, 2026.")
    ] = Prices().instance_hour,
    million_requests: Annotated[
        float, typer.Option(help="US dollars. Default: SQS, June 2026.")
    ] = Prices().million_requests,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed gives the same numbers.")] = 1,
    picture: Annotated[Path | None, typer.Option(help="Draw the comparison into this .svg or .png file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate policies on one day of uploads and compare waiting times, tasks, throttles and cost."""
    try:
        if picture:
            check(picture)
        scenario = Scenario(
            worker=WorkerModel(
                slots=slots_per_task,
                vcpu=vcpu,
                memory_gb=memory_gb,
                cpu_s_per_receipt=cpu_s_per_receipt,
                protected=protection,
            ),
            endpoint=EndpointModel(
                invoke_s=invoke_s,
                variation=variation,
                concurrency=concurrency,
                queue=concurrency,
                min_instances=min_instances,
                max_instances=max_instances,
                start_s=instance_start_s,
            ),
            prices=Prices(
                vcpu_hour=vcpu_hour,
                gb_hour=gb_hour,
                instance_hour=instance_hour,
                million_requests=million_requests,
            ),
            metric_delay_s=metric_delay_s,
            queue_kept_awake=queue_kept_awake,
            seed=seed,
        )
        counts = _counts(csv, profile, uploads)
        chosen = contenders(
            scenario.policy(
                acceptable_latency_s=acceptable_latency_s,
                busy_share=busy_share,
                min_tasks=min_tasks,
                max_tasks=max_tasks,
            )
        )
        kept = _only(chosen, policy)
        outcomes, runs = [], {}
        with Console(stderr=True).status("simulating …") as status:
            for outcome, run in compare(scenario, counts, kept):
                outcomes.append(outcome)
                runs[outcome.name] = run
                status.update(f"simulated {outcome.name}, {len(outcomes)} of {len(kept)}")
        length = f"{len(counts) / 60:g} h" if len(counts) % 60 == 0 else f"{len(counts):,} min"
        title = f"{csv.name if csv else profile}: {sum(counts):,} uploads in {length}"
        if picture:
            draw(picture, title=title, counts=counts, outcomes=outcomes, runs=runs)
    except OSError as error:
        refuse(f"{error.filename}: {error.strerror}")
    except (ValueError, RuntimeError) as error:
        refuse(error)
    if as_json:
        arrivals = {"profile": csv.name if csv else profile, "uploads": sum(counts), "minutes": len(counts)}
        typer.echo(json.dumps({**arrivals, "seed": seed, "policies": [o.as_dict() for o in outcomes]}, indent=2))
    else:
        _compare(title, outcomes)


def refuse(error: Exception | str) -> NoReturn:
    """Print an input error as one line on stderr and exit with code 2."""
    typer.echo(f"receipts scale: {error}", err=True)
    raise typer.Exit(2)


def _show(numbers: ScalingPlan) -> None:
    table = Table(title="Scaling plan", title_justify="left", show_header=False)
    rows = {
        "tasks, min to max": f"{numbers.min_tasks} to {numbers.max_tasks}",
        "out: metric": numbers.shortfall_metric,
        "out: alarm": f">= 1 in {numbers.scale_out_data_points} data point of 60 s",
        "in: metric": numbers.surplus_metric,
        "in: alarm": f">= 1 in {numbers.scale_in_data_points} consecutive data points of 60 s",
        "tasks added or removed": ", ".join(f"{step.from_tasks}+: {step.tasks}" for step in numbers.steps),
        "cooldown": f"{numbers.cooldown_s} s",
        "or target tracking: metric": numbers.backlog_metric,
        "or target tracking: target": f"{numbers.backlog_per_task:g} waiting messages per task",
        "throughput of one task": f"{numbers.receipts_per_s_per_task:g} receipts/s",
        "throughput of the fleet": f"{numbers.receipts_per_s_at_most:g} receipts/s",
        "first result after an idle time": f"within {numbers.first_result_s} s"
        if numbers.min_tasks == 0
        else "immediately",
        "alarm on the oldest message": f"{numbers.oldest_message_alarm_s} s",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)


def _counts(file: Path | None, profile: str, uploads: int | None) -> list[int]:
    if file is None:
        return counts_a_minute(profile, uploads=uploads)
    counts = read_counts(file)
    return counts if uploads is None else spread(counts, uploads=uploads)


def _only(chosen: dict[str, Callable[[], Autoscaler]], names: list[str] | None) -> dict[str, Callable[[], Autoscaler]]:
    unknown = sorted(set(names or ()) - set(chosen))
    if unknown:
        raise ValueError(f"policy is {unknown[0]!r}; it must be one of {', '.join(chosen)}")
    return {name: make for name, make in chosen.items() if not names or name in names}


def _compare(title: str, outcomes: list[Outcome]) -> None:
    table = Table(title=title, title_justify="left", caption=CAPTION, caption_justify="left")
    table.box, table.show_edge, table.padding = box.SIMPLE_HEAD, False, 0
    table.add_column("policy", no_wrap=True)
    for heading in ("p50", "p95", "p99", "worst", "oldest", "tasks", "hours", "throttled", "$"):
        table.add_column(heading, justify="right", no_wrap=True)
    for outcome in outcomes:
        waits = (outcome.p50_s, outcome.p95_s, outcome.p99_s, outcome.worst_s, outcome.oldest_s)
        table.add_row(
            outcome.name,
            *map(seconds, waits),
            f"{outcome.most_tasks:,}",
            f"{outcome.task_hours:,.1f}",
            f"{outcome.throttles:,}",
            f"{outcome.cost_usd:,.2f}" if outcome.cost_usd < 1_000 else f"{outcome.cost_usd:,.0f}",
        )
    Console().print(table)


def seconds(value: float) -> str:
    """Return seconds as text, with a decimal only below 100."""
    if value == math.inf:
        return "never"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
