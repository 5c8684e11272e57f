"""`receipts evaluate`: how well a reader or an endpoint reads receipts whose truth is known."""

import asyncio
import datetime as dt
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.settings import Settings
    from worker.workbench.evaluation.runs import Change, Run
    from worker.workbench.evaluation.truth import Truth


def command(
    *,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="The truth: one JSON object per line (see docs/models.md). Without it: the project's samples."
        ),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Where the pictures are; by default beside the truth.")] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="SageMaker endpoint to evaluate, with the configured protocol; by default the embedded reader."
        ),
    ] = None,
    against: Annotated[Path | None, typer.Option(help="Earlier run, written by --json, to compare with.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write an HTML report with pictures of the worst receipts.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run as JSON, for CI and for --against.")] = False,
    at_least: Annotated[
        list[str] | None,
        typer.Option(help="Exit 1 below this share, such as total=0.95. FIELD is merchant, date, total or all."),
    ] = None,
    at_once: Annotated[int | None, typer.Option(min=1, help="Number of receipts to read concurrently.")] = None,
) -> None:
    """Read every receipt of a truth. Report how much is right, left open or wrong, and how reliable confidence is."""
    from worker.settings import load
    from worker.workbench.evaluation import report, runs
    from worker.workbench.evaluation import truth as truths
    from worker.workbench.local.samples import FILES

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is reserved for the result
    goals = [_goal(text) for text in at_least or ()]
    known = truths.load(truth) if truth else truths.of_samples()
    pictures = images or (_default_images(truth) if truth else FILES)
    _check_files(known, pictures, html)
    earlier = runs.load(against) if against else None
    settings = load()
    receipts, model = asyncio.run(_run(settings, known, pictures, endpoint=endpoint, at_once=at_once, today=_today()))
    run = runs.Run(model, settings.review_threshold, receipts)
    changes = runs.compare(earlier.receipts, run.receipts) if earlier else []
    if html:
        html.write_text(report.html(run, images=pictures, against=earlier, changes=changes), "utf-8")
    if as_json:
        typer.echo(json.dumps(run.as_json(), indent=1, ensure_ascii=False))
    else:
        _print(run, earlier, changes)
        if html:
            typer.echo(f"\nReport: {html}")
    missed = [f"{name} {share:.3f} < {goal}" for name, goal in goals if (share := _share(run, name)) < goal]
    if missed:
        typer.echo(f"Below the goal: {', '.join(missed)}", err=True)
        raise typer.Exit(1)


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def _default_images(truth: Path) -> Path:
    folder = truth.parent / "images"
    return folder if folder.is_dir() else truth.parent


def _check_files(known: "list[Truth]", pictures: Path, html: Path | None) -> None:
    """Raise `SettingsError` for missing files now, rather than after minutes of reading."""
    missing = [one.file for one in known if not (pictures / one.file).is_file()]
    if missing:
        raise SettingsError(
            f"{len(missing)} of {len(known)} pictures are not in {pictures}, such as {missing[0]}. "
            "Name their folder with --images."
        )
    if html and not html.absolute().parent.is_dir():
        raise SettingsError(f"--html {html}: the directory does not exist. Create it or choose another.")


def _goal(text: str) -> tuple[str, float]:
    name, _, share = text.partition("=")
    try:
        goal = float(share)
    except ValueError:
        goal = -1.0
    if name not in {"merchant", "date", "total", "all"} or not 0 <= goal <= 1:
        raise SettingsError(
            f"--at-least {text}: write FIELD=SHARE with merchant, date, total or all, such as total=0.95"
        )
    return name, goal


def _share(run: "Run", name: str) -> float:
    summary = run.as_json()["summary"]
    if name == "all":
        return summary["all_main"] or 0.0
    return summary["fields"].get(name, {}).get("fuzzy" if name == "merchant" else "exact") or 0.0


async def _run(
    settings: "Settings",
    known: "list[Truth]",
    pictures: Path,
    *,
    endpoint: str | None,
    at_once: int | None,
    today: dt.date,
) -> tuple[Any, str]:
    from rich.progress import Progress

    from worker.commands.support.terminal import console
    from worker.workbench.evaluation import readers
    from worker.workbench.evaluation.evaluate import evaluate

    calls = at_once or (8 if endpoint else min(os.cpu_count() or 1, 4))
    opened = (
        readers.endpoint(settings, endpoint, calls=calls) if endpoint else readers.embedded(settings, processes=calls)
    )
    with Progress(console=console(stderr=True), transient=True) as progress:
        bar = progress.add_task("Reading", total=len(known))
        async with opened as read:
            receipts = await evaluate(
                known,
                pictures,
                read,
                threshold=settings.review_threshold,
                at_once=calls,
                today=today,
                on_done=lambda: progress.advance(bar),
            )
    return receipts, f"endpoint {endpoint}" if endpoint else "the embedded reader"


def _print(run: "Run", earlier: "Run | None", changes: "list[Change]") -> None:
    from worker.commands.support.terminal import cells, console, table
    from worker.workbench.evaluation.report import percent

    summary = run.as_json()["summary"]
    columns = ("exact", "fuzzy", "abstained", "wrong")
    fields = table("field", "known", *columns, title=f"{summary['receipts']} receipts", right=("known", *columns))
    for name, field in summary["fields"].items():
        fields.add_row(*cells(name, field["known"], *(percent(field[column]) for column in columns)))
    screen = console()
    screen.print(fields)
    decision, items = summary["decision"], summary["items"]
    screen.print(f"\nReceipts with merchant, date and total right: {percent(summary['all_main'])}")
    screen.print(f"Items paired by description and amount: {percent(items['paired'])} of {items['truth']}")
    screen.print(
        f"Marked as extracted: {percent(decision['extracted'])}; the total is right in "
        f"{percent(decision['total_right_of_extracted'])} of these"
    )
    unread = [one.error for one in run.receipts if one.error]
    if unread:
        screen.print(*cells(f"Failed to read: {len(unread)}; the first error: {unread[0]}"))
    if earlier and not changes:
        screen.print(f"\nCompared with {earlier.model}: the same fields are right.")
    elif earlier:
        changed = table("", "file", "field", "truth", "before", "now", title=f"\nCompared with {earlier.model}")
        for one in changes:
            changed.add_row(
                *cells("better" if one.better else "worse", one.file, one.field, one.truth, one.before, one.after)
            )
        screen.print(changed)
