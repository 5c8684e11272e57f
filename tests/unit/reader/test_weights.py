"""The runtime of the networks, in a separate process."""

import os
import subprocess
import sys
from pathlib import Path


def test_running_a_network_sends_no_telemetry(tmp_path: Path) -> None:
    """The runtime's telemetry is off: it neither creates a device id nor stores events."""
    script = "from worker.reader import weights; weights.session(weights.ORIENTATION, threads=1)"
    inherited = ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")  # each would disable telemetry or move its files
    environment = {name: value for name, value in os.environ.items() if name not in inherited}
    subprocess.run([sys.executable, "-c", script], env={**environment, "HOME": str(tmp_path)}, timeout=120, check=True)
    assert list(tmp_path.rglob("*")) == []
