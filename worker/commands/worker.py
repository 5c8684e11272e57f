"""`receipts worker`: one worker process, as ECS runs it."""

import typer


def command() -> None:
    """Run one worker: take messages from the queue, read their receipts, write the table, until SIGTERM.

    It is configured by environment variables alone: `receipts settings` lists them.
    """
    from worker.app import run
    from worker.settings import load

    raise typer.Exit(run(load()))
