"""`receipts health`: whether the worker in this container is well."""

import typer


def command() -> None:
    """Ask the worker on this machine how it is: exit 0 if it polls as it should, else 1.

    It looks at RECEIPTS_HTTP_PORT, as a container's health check does.
    """
    from worker.runtime.healthcheck import main

    raise typer.Exit(main())
