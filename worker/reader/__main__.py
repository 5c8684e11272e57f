"""`python -m worker.reader`: the embedded reader as a server. SageMaker starts it with the argument `serve`."""

from enum import StrEnum
from typing import Annotated

import typer

from worker.startup import end_on_sigterm


class Mode(StrEnum):
    """What the container is started for; SageMaker says `serve` for an endpoint."""

    SERVE = "serve"


def main(
    mode: Annotated[Mode, typer.Argument(help="what SageMaker passes to a container")] = Mode.SERVE,
    *,
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 in a container")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, envvar="SAGEMAKER_BIND_TO_PORT")] = 8080,
    processes: Annotated[
        int | None, typer.Option(min=1, help="readers side by side, 0.7 GB each; by default one a core, at most 4")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="threads of each reader; by default the cores divided by the processes")
    ] = None,
) -> None:
    """Serve GET /ping and POST /invocations until SIGTERM."""
    from worker.reader import server

    del mode
    server.run(host=host, port=port, processes=processes, threads=threads)


if __name__ == "__main__":
    end_on_sigterm()
    typer.run(main)
