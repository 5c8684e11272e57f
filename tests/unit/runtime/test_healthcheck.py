"""The health check of the container, run as the container runs it."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest


@contextmanager
def worker_that_answers(status: int) -> Iterator[int]:
    """Serve `status` at /health, and 404 elsewhere; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()
            self.wfile.write(b'{"status": "said"}')

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class's name
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def health(port: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "worker", "health"],
        env={**os.environ, "RECEIPTS_HTTP_PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_healthy_worker_passes() -> None:
    """If the worker answers 200, the check exits with 0 and prints the answer."""
    with worker_that_answers(200) as port:
        result = health(port)
    assert (result.returncode, result.stdout, result.stderr) == (0, '{"status": "said"}\n', "")


def test_a_stuck_worker_fails() -> None:
    """If the worker answers 503, the check exits with 1 and prints the answer to stderr."""
    with worker_that_answers(503) as port:
        result = health(port)
    assert (result.returncode, result.stdout, result.stderr) == (1, "", '{"status": "said"}\n')


@pytest.mark.parametrize("port", ["0", "1", "eighty", "65536"])
def test_a_port_without_a_worker_fails_in_one_line(port: str) -> None:
    """For a port without a worker or an invalid port, the check exits with 1 and one line that names the port."""
    result = health(port)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert port in result.stderr


def test_the_check_imports_no_heavy_modules() -> None:
    """The check is cheap: it imports neither the command line nor the AWS client."""
    with worker_that_answers(200) as port:
        script = (
            "import sys; sys.argv = ['receipts', 'health']\n"
            "from worker.__main__ import main\n"
            "try: main()\n"
            "except SystemExit as end: assert end.code == 0, end.code\n"
            "found = {name.partition('.')[0] for name in sys.modules}\n"
            "heavy = found & {'typer', 'rich', 'pydantic', 'aiohttp', 'botocore', 'asyncio', 'structlog'}\n"
            "assert not heavy, heavy"
        )
        environment = {**os.environ, "RECEIPTS_HTTP_PORT": str(port)}
        subprocess.run([sys.executable, "-c", script], env=environment, timeout=60, check=True, capture_output=True)
