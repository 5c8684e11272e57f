"""`python -m worker.reader`: the embedded reader as a server. SageMaker starts it with the argument `serve`."""

from enum import StrEnum
from typing import Annotated

import typer

from worker.startup import end_on_sigterm


class Mode(StrEnum):
    """The first argument of the container. SageMaker passes `serve` for an endpoint."""

    SERVE = "serve"


def main(
    mode: Annotated[Mode, typer.Argument(help="the argument that SageMaker passes to a container")] = Mode.SERVE,
    *,
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 in a container")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, envvar="SAGEMAKER_BIND_TO_PORT")] = 8080,
    processes: Annotated[
        int | None, typer.Option(min=1, help="parallel readers, 0.7 GB each; default: one per core, at most 4")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="threads of each reader; default: cores divided by processes")
    ] = None,
) -> None:
    """Serve GET /ping and POST /invocations until SIGTERM."""
    from worker.reader import server

    del mode
    server.run(host=host, port=port, processes=processes, threads=threads)


if __name__ == "__main__":
    end_on_sigterm()
    typer.run(main)
