"""`receipts worker`: one worker process, as ECS runs it."""

import contextlib
import os
import sys


def command() -> None:
    """Run one worker: take messages from the queue, read their receipts, write the table, until SIGTERM.

    It is configured by environment variables alone: `receipts settings` lists them.
    """
    from worker.runtime.process import run
    from worker.settings import load

    code = run(load())
    # Past the interpreter's own end, which would wait for a thread that still decodes a picture nobody wants any more.
    with contextlib.suppress(OSError):  # nobody reads them any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
