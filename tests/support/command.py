"""The `receipts` command in a process of its own, as people run it."""

import os
import subprocess
import sys


def receipts(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command with this process's environment and `environment`, and return how it ended."""
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
