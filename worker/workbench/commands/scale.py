"""`receipts scale`: the numbers for autoscaling, and a simulation of what they do."""

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
    "Seconds from upload to result, and of the oldest message that waited; most tasks at once, and task-hours; "
    "throttles of the endpoint; dollars for fleet, endpoint and queue."
)

app = typer.Typer(no_args_is_help=True, add_completion=False)

ReceiptS = Annotated[float, typer.Option(help="Mean seconds a receipt holds a slot: fetch, prepare, invoke, store.")]
Slots = Annotated[int, typer.Option(help="Receipts that one task works on at a time.")]
LatencyS = Annotated[float, typer.Option(help="Seconds within which the fleet is sized to clear what waits.")]
BusyShare = Annotated[float, typer.Option(help="Share of a task's slots meant to be busy at steady load.")]
EndpointRate = Annotated[
    float | None,
    typer.Option(help="Receipts a second that the endpoint gives at its largest.", show_default="no limit"),
]
MinTasks = Annotated[int, typer.Option(help="Tasks that always run; 0 lets the fleet go away.")]
MaxTasks = Annotated[int, typer.Option(help="Tasks that the fleet never goes above.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def scale() -> None:
    """Size the fleet: numbers for autoscaling, and a simulation of what they do."""


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
    task_start_s: Annotated[float, typer.Option(help="Seconds from the decision to a task's first receive.")] = 60.0,
    scale_in_minutes: Annotated[int, typer.Option(help="Minutes that a surplus lasts before it is taken away.")] = 5,
    as_json: AsJson = False,
    tfvars: Annotated[bool, typer.Option(help="Print a Terraform variable file.")] = False,
) -> None:
    """Print what target tracking and step scaling need for these inputs.

    Nothing is computed by hand: `receipts scale plan --tfvars > scaling.auto.tfvars` is what Terraform reads.
    """
    if as_json and tfvars:
        refuse("choose one of --json and --tfvars")
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
    profile: Annotated[str, typer.Option(help=f"Arrivals: {', '.join(PROFILES)}.")] = "daily",
    csv: Annotated[
        Path | None, typer.Option(help="Arrivals instead from a file: a row a minute, uploads in the last column.")
    ] = None,
    uploads: Annotated[
        int | None, typer.Option(help="Uploads in all.", show_default="as the profile or the file has it")
    ] = None,
    policy: Annotated[list[str] | None, typer.Option(help="Only this policy; may be given again.")] = None,
    acceptable_latency_s: LatencyS = 60.0,
    busy_share: BusyShare = 0.8,
    min_tasks: MinTasks = 0,
    max_tasks: MaxTasks = 20,
    slots_per_task: Slots = WorkerModel().slots,
    vcpu: Annotated[float, typer.Option(help="vCPUs of a task.")] = WorkerModel().vcpu,
    memory_gb: Annotated[float, typer.Option(help="Gigabytes of a task.")] = WorkerModel().memory_gb,
    cpu_s_per_receipt: Annotated[
        float, typer.Option(help="CPU seconds that a receipt costs a task.")
    ] = WorkerModel().cpu_s_per_receipt,
    protection: Annotated[bool, typer.Option(help="Tasks that work are protected from scale-in.")] = True,
    invoke_s: Annotated[float, typer.Option(help="Mean seconds of an invocation.")] = EndpointModel().invoke_s,
    variation: Annotated[float, typer.Option(help="Of that time: deviation over mean.")] = EndpointModel().variation,
    concurrency: Annotated[int, typer.Option(help="Invocations an instance works on.")] = EndpointModel().concurrency,
    min_instances: Annotated[
        int, typer.Option(help="Instances that the endpoint starts with.")
    ] = EndpointModel().min_instances,
    max_instances: Annotated[
        int, typer.Option(help="Instances that the endpoint may have.")
    ] = EndpointModel().max_instances,
    instance_start_s: Annotated[
        float, typer.Option(help="Seconds until a new instance serves.")
    ] = EndpointModel().start_s,
    metric_delay_s: Annotated[
        int, typer.Option(help="Age of an alarm's newest data point.")
    ] = Scenario().metric_delay_s,
    queue_kept_awake: Annotated[
        bool, typer.Option(help="Something asks the queue for its attributes at least every six hours.")
    ] = True,
    vcpu_hour: Annotated[float, typer.Option(help="US dollars, Fargate, us-east-1, March 2026.")] = Prices().vcpu_hour,
    gb_hour: Annotated[float, typer.Option(help="US dollars, Fargate, us-east-1, March 2026.")] = Prices().gb_hour,
    instance_hour: Annotated[
        float, typer.Option(help="US dollars, ml.g6.2xlarge, us-west-2, 2026.")
    ] = Prices().instance_hour,
    million_requests: Annotated[float, typer.Option(help="US dollars, SQS, June 2026.")] = Prices().million_requests,
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.")] = 1,
    picture: Annotated[Path | None, typer.Option(help="Draw into this .svg or .png file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Try policies on one day of uploads: waiting, tasks, throttles and money, side by side."""
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
    """Say on stderr, in one line, what is wrong with an input, and end with exit code 2."""
    typer.echo(f"receipts scale: {error}", err=True)
    raise typer.Exit(2)


def _show(numbers: ScalingPlan) -> None:
    table = Table(title="Scaling plan", title_justify="left", show_header=False)
    rows = {
        "tasks, least to most": f"{numbers.min_tasks} to {numbers.max_tasks}",
        "out: metric": numbers.shortfall_metric,
        "out: alarm": f"1 or more in {numbers.scale_out_data_points} data point of 60 s",
        "in: metric": numbers.surplus_metric,
        "in: alarm": f"1 or more in all of {numbers.scale_in_data_points} data points of 60 s",
        "tasks added or taken away": ", ".join(f"{step.from_tasks}+: {step.tasks}" for step in numbers.steps),
        "cooldown": f"{numbers.cooldown_s} s",
        "or target tracking: metric": numbers.backlog_metric,
        "or target tracking: target": f"{numbers.backlog_per_task:g} waiting messages a task",
        "one task gives": f"{numbers.receipts_per_s_per_task:g} receipts/s",
        "the whole fleet gives": f"{numbers.receipts_per_s_at_most:g} receipts/s",
        "first result after quiet hours": f"within {numbers.first_result_s} s" if numbers.min_tasks == 0 else "at once",
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
    """Write seconds for people: a decimal only where it says something."""
    if value == math.inf:
        return "never"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
