"""The networks' run time, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path


def test_running_a_network_leaves_no_trace_of_telemetry(tmp_path: Path) -> None:
    """The run time's telemetry is off: it neither makes a device id nor keeps events to send."""
    script = "from worker.reader import weights; weights.session(weights.ORIENTATION, threads=1)"
    inherited = ("CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")  # each would keep it quiet, or elsewhere
    environment = {name: value for name, value in os.environ.items() if name not in inherited}
    subprocess.run([sys.executable, "-c", script], env={**environment, "HOME": str(tmp_path)}, timeout=120, check=True)
    assert list(tmp_path.rglob("*")) == []
