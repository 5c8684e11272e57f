"""The first step of a process, before its slow imports."""

import os
import signal


def end_on_sigterm() -> None:
    """Exit with 0 on SIGTERM until the process installs its own handler.

    The kernel does not deliver SIGTERM to a container's first process if it has no handler (man 7 pid_namespaces).
    Without this handler, a worker that is stopped during its start would go on, receive messages and be killed.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
