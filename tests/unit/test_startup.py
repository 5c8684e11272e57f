"""A stop while a process starts."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from worker.commands.support import local_stack
from worker.workbench.local import environment


@pytest.mark.parametrize("verb", ["worker", "console"])
def test_a_stop_during_the_start_ends_with_0(verb: str) -> None:
    """SIGTERM ends a process that still waits for its queue's answer, with exit code 0."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        variables = {
            **local_stack.isolated(os.environ, also=("RECEIPTS_",)),
            **environment.aws(emulator_url=url, runtime_url=url),
            "RECEIPTS_QUEUE_URL": f"{url}/000000000000/receipts",
            "RECEIPTS_BUCKET": "receipts",
            "RECEIPTS_ENDPOINT": "receipts",
            "RECEIPTS_HTTP_PORT": "0",
        }
        with subprocess.Popen([sys.executable, "-m", "worker", verb], env=variables) as process:
            connection, _ = silent.accept()
            with connection:
                process.send_signal(signal.SIGTERM)
                try:
                    assert process.wait(timeout=30) == 0
                finally:
                    process.kill()
