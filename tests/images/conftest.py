"""The images that `make images` built, if they are as new as the code."""

import json
import os
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


class Image:
    """One image, its metadata and ways to run it."""

    def __init__(self, name: str) -> None:
        self.name = name
        inspected = json.loads(_podman("inspect", name).stdout)[0]
        self.made_at = datetime.fromisoformat(inspected["Created"]).timestamp()
        self.config: dict[str, Any] = inspected["Config"]
        self.health_check: list[str] = inspected["Healthcheck"]["Test"]

    def run(self, *command: str, entrypoint: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `command` in the image, hardened as a task and without network."""
        options = ["--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--no-healthcheck"]
        options += [f"--env={name}={value}" for name, value in environment.items()]
        options += ["--entrypoint", entrypoint] if entrypoint else []
        return _podman("run", "--rm", "--pull", "never", *options, self.name, *command)

    def python(self, script: str, **environment: str) -> str:
        """Run a script in the image and return its output; the script must exit with 0."""
        done = self.run("-c", script, entrypoint="python", **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def _podman(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["podman", *arguments], capture_output=True, text=True, timeout=120, check=False)


def _built(name: str) -> Image:
    if not shutil.which("podman") or _podman("image", "exists", name).returncode:
        pytest.skip(f"the image {name} does not exist; run `make images`")
    image = Image(name)
    # A build without changes keeps the image's old time, so a fresh build is announced by RECEIPTS_IMAGES_ARE_NEW.
    if not os.environ.get("RECEIPTS_IMAGES_ARE_NEW") and image.made_at < _changed_at():
        pytest.skip(f"the image {name} is older than the code; run `make images`")
    return image


def _changed_at() -> float:
    """Return the latest modification time of the images' source files, seconds since 1970."""
    files = [file for folder in ("worker", "docker", "requirements") for file in (ROOT / folder).rglob("*")]
    return max(file.stat().st_mtime for file in files if file.suffix not in {".pyc", ".md", ""} and file.is_file())


@pytest.fixture(scope="session")
def worker() -> Image:
    """The worker's image."""
    return _built("receipts-worker")


@pytest.fixture(scope="session")
def reader() -> Image:
    """The reader's image."""
    return _built("receipts-reader")
