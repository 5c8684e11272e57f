"""`receipts local`: the whole system on this machine."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.errors import SettingsError

if TYPE_CHECKING:
    from worker.workbench.local.session import Screen, SessionRequest

INBOX = Path("inbox")
INTERRUPTED = 130
"""What a shell says of a command that Ctrl-C ended."""


def _directory(name: str | Path) -> Path:
    """Return `name` as a directory's path; an empty one is a shell variable without a value, not this directory."""
    path = Path(name)
    if not str(name):
        raise typer.BadParameter("an empty name is no directory; a dot is the current one.")
    if path.exists() and not path.is_dir():
        raise typer.BadParameter(f"{name} is a file.")
    return path


def command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Receipts to read; without any, the project's samples.", show_default=False),
    ] = None,
    *,
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Read FILES and exit: 0 if all were extracted, 1 if some were not, 2 if it cannot start as asked: "
            "misuse, a setting, a port that is taken, a directory that cannot be written.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one stored record a line as JSON.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="Directory that keeps uploads and records from one run to the next.", parser=_directory),
    ] = None,
    inbox: Annotated[
        Path, typer.Option(help="Directory whose files are taken as receipts while it runs.", parser=_directory)
    ] = INBOX,
    workers: Annotated[int, typer.Option(min=0, max=32, help="Worker processes; the fewest, with --max-workers.")] = 1,
    max_workers: Annotated[
        int | None,
        typer.Option(min=1, max=32, help="Start and stop workers with the queue, up to so many.", show_default="off"),
    ] = None,
    aws_port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the AWS emulator; 0 takes a free one.")] = 0,
    endpoint_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of the SageMaker endpoint; 0 takes a free one.")
    ] = 0,
    model_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of the model server; 0 takes a free one.")
    ] = 0,
    http_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of the first worker's health; 0 takes a free one.")
    ] = 0,
) -> None:
    """Run the whole system on this machine: bucket, queue, worker, model and table, without an AWS account.

    It reads the sample receipts, prints their table and stays for more, until Ctrl-C. Nothing leaves the machine.
    """
    try:
        from worker.workbench.local.session import SessionRequest
        from worker.workbench.local.stack import Ports
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"`receipts local` needs {error.name}: run `make install`, or install receipts-worker[local,reader]."
        ) from error
    if workers > (max_workers or workers) or (workers == 0 and max_workers is None):
        raise typer.BadParameter("--workers may be 0 only with --max-workers, and not be more than it.")
    from worker.settings import PREFIX, load

    settings = load()  # refuses at once what would keep each worker from starting
    _apart(
        {
            "--aws-port": aws_port,
            "--endpoint-port": endpoint_port,
            "--model-port": model_port,
            "--http-port": http_port,
        }
    )
    request = SessionRequest(
        files=_readable(files or [], once=once),
        once=once,
        data=data.resolve() if data else None,
        inbox=None if once else inbox.resolve(),
        workers=workers,
        max_workers=max_workers,
        ports=Ports(aws=aws_port, endpoint=endpoint_port, model=model_port, http=http_port),
        settings=settings,
        variables={name: value for name, value in os.environ.items() if name.startswith(PREFIX)},
    )
    from worker.commands.support.screen import JsonScreen, PeopleScreen

    with contextlib.ExitStack() as exits:
        screen = JsonScreen() if as_json else exits.enter_context(PeopleScreen())
        status = asyncio.run(_run(request, screen))
    raise typer.Exit(status)


def _apart(ports: dict[str, int]) -> None:
    """Refuse a port that is given twice; 0 is none yet."""
    first: dict[int, str] = {}
    for option, port in ports.items():
        if port and first.setdefault(port, option) != option:
            raise typer.BadParameter(f"{first[port]} and {option} are both {port}: give each its own, or 0 for any.")


def _readable(files: list[Path], *, once: bool) -> tuple[Path, ...]:
    """Return `files`, or refuse them all where one cannot be sent."""
    from worker.aws import uploads

    if once and not files:
        raise typer.BadParameter("--once needs the files to read: receipts local --once FILE…")
    problems = [problem for path in files if (problem := uploads.problem(path))]
    if problems:
        raise typer.BadParameter("; ".join(problems))
    return tuple(files)


async def _run(request: "SessionRequest", screen: "Screen") -> int:
    from worker.workbench.local.session import Session

    session = Session(request, screen)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, session.interrupt)
    all_extracted = await session.run()
    if session.interrupted:
        return INTERRUPTED if request.once else 0
    return 0 if all_extracted else 1
