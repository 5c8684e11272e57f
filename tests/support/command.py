"""The `receipts` command in a separate process, as people run it."""

import os
import subprocess
import sys


def receipts(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command with this process's environment plus `environment`, and return the completed process."""
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
