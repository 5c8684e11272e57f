"""`receipts health`: the health check of a worker container."""

import typer


def command() -> None:
    """Check the health of the worker on this machine: exit 0 if it polls its queue, else 1.

    It asks at RECEIPTS_HTTP_PORT, as a container's health check does.
    """
    from worker.runtime.healthcheck import main

    raise typer.Exit(main())
