"""Configuration of every test of the project."""

import os
import subprocess
import sys
import uuid

import pytest
from hypothesis import HealthCheck, settings

from tests.support import reaper

# Extends the active profile, also hypothesis's own for CI: no test fails because the machine is busy.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_configure(config: pytest.Config) -> None:
    """Start the process that ends what a run leaves behind, even if the run is killed."""
    if "PYTEST_XDIST_WORKER" in os.environ or reaper.MARK in os.environ:
        return  # this process is part of a run and inherits its mark
    mark = uuid.uuid4().hex
    watching = subprocess.Popen(
        [sys.executable, "-I", "-S", reaper.__file__, mark], stdin=subprocess.PIPE, start_new_session=True
    )
    os.environ[reaper.MARK] = mark

    def run_is_over() -> None:
        os.environ.pop(reaper.MARK, None)
        assert watching.stdin
        watching.stdin.close()
        watching.wait()

    config.add_cleanup(run_is_over)
