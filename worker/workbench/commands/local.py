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
"""The exit status by which shells report a command that Ctrl-C ended."""


def _directory(name: str | Path) -> Path:
    """Return `name` as the path of a directory. Refuse an empty name: it comes from an unset shell variable."""
    path = Path(name)
    if not str(name):
        raise typer.BadParameter("the directory's name is empty; write . for the current directory.")
    if path.exists() and not path.is_dir():
        raise typer.BadParameter(f"{name} is a file, not a directory.")
    return path


def command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Receipts to read; by default the project's samples.", show_default=False),
    ] = None,
    *,
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Read FILES and exit: 0 if all were extracted, 1 if not, 2 if it cannot start because of an option, "
            "a setting, a port that is in use or a directory that cannot be written.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one stored record per line as JSON.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="Directory that keeps uploads and records between runs.", parser=_directory),
    ] = None,
    inbox: Annotated[Path, typer.Option(help="Directory to watch for new receipts.", parser=_directory)] = INBOX,
    workers: Annotated[
        int, typer.Option(min=0, max=32, help="Number of worker processes; with --max-workers, the smallest number.")
    ] = 1,
    max_workers: Annotated[
        int | None,
        typer.Option(min=1, max=32, help="Scale workers with the queue, up to this number.", show_default="off"),
    ] = None,
    aws_port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the AWS emulator; 0 takes a free one.")] = 0,
    endpoint_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of the SageMaker endpoint; 0 takes a free one.")
    ] = 0,
    reader_port: Annotated[
        int,
        typer.Option(
            "--reader-port", "--model-port", min=0, max=65_535, help="Port of the embedded reader; 0 takes a free one."
        ),
    ] = 0,
    http_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of health and console; 0 takes a free one.")
    ] = 0,
) -> None:
    """Run the whole system on this machine: bucket, queue, worker, reader and table, without an AWS account.

    It reads the sample receipts, prints a table of them, and reads more until Ctrl-C. Nothing leaves the machine.
    """
    try:
        from worker.workbench.local.session import SessionRequest
        from worker.workbench.local.stack import Ports
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"`receipts local` needs {error.name}: run `make install`, or install receipts-worker[local,reader]."
        ) from error
    if workers > (max_workers or workers) or (workers == 0 and max_workers is None):
        raise typer.BadParameter("--workers may be 0 only with --max-workers, and must not exceed it.")
    from worker.settings import PREFIX, load

    settings = load()  # refuses settings with which no worker could start
    _check_distinct(
        {
            "--aws-port": aws_port,
            "--endpoint-port": endpoint_port,
            "--reader-port": reader_port,
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
        ports=Ports(aws=aws_port, endpoint=endpoint_port, reader=reader_port, http=http_port),
        settings=settings,
        variables={name: value for name, value in os.environ.items() if name.startswith(PREFIX)},
    )
    from worker.commands.support.screen import JsonScreen, PeopleScreen

    with contextlib.ExitStack() as exits:
        screen = JsonScreen() if as_json else exits.enter_context(PeopleScreen())
        status = asyncio.run(_run(request, screen))
    raise typer.Exit(status)


def _check_distinct(ports: dict[str, int]) -> None:
    """Refuse a port that is given twice, except 0."""
    first: dict[int, str] = {}
    for option, port in ports.items():
        if port and first.setdefault(port, option) != option:
            raise typer.BadParameter(
                f"{first[port]} and {option} are both {port}. Give each its own port, or 0 for any free one."
            )


def _readable(files: list[Path], *, once: bool) -> tuple[Path, ...]:
    """Return `files`, or refuse all of them if one cannot be uploaded."""
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
