"""`receipts worker`: one worker process, started as ECS starts it."""

import contextlib
import os
import sys


def command() -> None:
    """Run one worker until SIGTERM: receive messages, have their receipts read, write the results table.

    Environment variables configure it; `receipts settings` lists them.
    """
    from worker.runtime.process import run
    from worker.settings import load

    code = run(load())
    # The interpreter's own shutdown would wait for a thread that still decodes a picture.
    with contextlib.suppress(OSError):  # the reading end of a pipe may be closed
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
