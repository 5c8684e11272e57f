"""Fixtures: the offline Terraform tool, and the state of a simulated apply of each root."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.component.emulators import Emulator, Emulators
from tests.infra.offline import BASIC, CONSOLE, IMAGES, LIBRARIES, TOOL, Offline, State

NOT_REPLAYED = ",".join(
    (
        "aws_ecs_cluster_capacity_providers",  # the replay tool omits the cluster in this call
        "aws_s3_bucket_policy",  # refuses requests without TLS, and the emulator has no TLS
        *("aws_lb", "aws_lb_listener", "aws_lb_target_group"),  # the tool creates a listener before its load balancer
    )
)


@pytest.fixture(scope="session")
def offline() -> Offline:
    """Return the tool with its own virtual environment; skip if it is not available."""
    if not (TOOL / "tf-offline").exists():
        pytest.skip("the offline provider is not beside the project")
    if not shutil.which("terraform"):
        pytest.skip("terraform is not installed")
    home = (
        Path(tempfile.gettempdir()) / f"receipts-tf-offline-{os.getuid()}-{sys.version_info[0]}.{sys.version_info[1]}"
    )
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (TOOL / "requirements.txt").read_text() + "\n".join(LIBRARIES)
        ready = home / "ready"
        if not ready.exists() or ready.read_text() != wanted:
            venv.create(home / "venv", with_pip=True, clear=True)
            pip = [str(home / "venv/bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
            done = subprocess.run(
                [*pip, "-r", str(TOOL / "requirements.txt"), *LIBRARIES], capture_output=True, text=True, check=False
            )
            if done.returncode:
                pytest.skip(f"what the offline provider needs cannot be installed: {done.stderr[-200:]}")
            ready.write_text(wanted)
    return Offline(home)


@pytest.fixture(scope="session")
def express(offline: Offline) -> State:
    """Return the state of express/ with only the required variables."""
    return offline.apply("express", BASIC)


@pytest.fixture(scope="session")
def custom(offline: Offline) -> State:
    """Return the state of custom/ with a console."""
    return offline.apply("custom", {**BASIC, "console": CONSOLE, "alarm_emails": ["ops@example.com"]})


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A separate moto server for this folder, because replayed resources use fixed names."""
    with ExitStack() as stack:
        yield Emulators(stack, tmp_path_factory.mktemp("moto")).get("moto")


@pytest.fixture(scope="session")
def deployed(offline: Offline, moto: Emulator) -> State:
    """Return the state of custom/ with a console; its resources are in the emulator."""
    model = {
        "image": f"{IMAGES}/receipts-reader:1.0.0",
        "instance_type": "ml.m5.xlarge",
    }  # moto does not know newer types
    state = offline.apply("custom", {**BASIC, "model": model, "console": CONSOLE})
    offline.replay(state, endpoint=moto.url, skip=NOT_REPLAYED)
    return state
