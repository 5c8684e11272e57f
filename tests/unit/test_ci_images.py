"""`.ci/images` with fake tools: faults of the machine pass, faults of the images fail."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TOOL = """#!/bin/sh
# Fails where FAIL names this call, or the second call of it where FAIL names that.
call="$(basename "$0") $1"
echo "$call" >> calls
case ",$FAIL," in
*",$call,"*) exit 1 ;;
*",second $call,"*) [ "$(grep -c "^$call\\$" calls)" -lt 2 ] || exit 1 ;;
esac
case "$call" in
"id -u") echo 0 ;;
nproc*) echo "$PROCESSORS" ;;
esac
"""

pytestmark = pytest.mark.skipif(not Path("/etc/debian_version").exists(), reason="needs Debian")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with the script, a podman setup and fake tools."""
    shutil.copytree(PROJECT / ".ci", tmp_path / ".ci")
    tools = [tmp_path / "tools" / name for name in ("podman", "buildah", "debootstrap", "make", "id", "nproc")]
    for tool in (*tools, tmp_path / ".venv" / "bin" / "python", tmp_path / "setup" / "make-base-image.sh"):
        tool.parent.mkdir(parents=True, exist_ok=True)
        tool.write_text(TOOL)
        tool.chmod(0o755)
    return tmp_path


def run(project: Path, *, fail: str = "", **changes: str) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RECEIPTS_")}
    environment |= {
        "PATH": f"{project / 'tools'}:{os.environ['PATH']}",
        "FAIL": fail,
        "CI": "true",
        "PROCESSORS": "1000",
    }
    environment |= {"RECEIPTS_CONTAINERS": str(project / "setup"), **changes}
    line = [str(project / ".ci" / "images")]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_in_ci_the_images_are_built_and_tested(project: Path) -> None:
    """Without faults the images are built, inspected and run."""
    code, said = run(project)
    assert code == 0, said
    assert (project / "calls").read_text().splitlines()[-3:] == ["make images", "python -m", "make smoke"]


@pytest.mark.parametrize(
    ("fail", "reason"),
    [
        ("podman info", "podman does not run here"),
        ("podman image,make-base-image.sh docker.io/library/python:3.11-slim-bookworm,podman pull", "no base"),
        ("podman run", "a container with limits does not run here"),
        ("podman build", "a build reaches no packages here"),
        ("make images,second podman build", "the build lost the network"),
    ],
)
def test_a_fault_of_the_machine_is_reported_and_passes(project: Path, fail: str, reason: str) -> None:
    """A missing podman, base image, cgroup or network is not a fault of the images."""
    code, said = run(project, fail=fail)
    assert code == 0
    assert reason in said
    assert "smoke" not in (project / "calls").read_text()


@pytest.mark.parametrize("fail", ["make images", "python -m", "make smoke"])
def test_a_fault_of_the_images_fails(project: Path, fail: str) -> None:
    """The run fails for images that cannot be built although packages can, have wrong contents or do not work."""
    code, said = run(project, fail=fail)
    assert code != 0, said


def test_a_busy_machine_passes(project: Path) -> None:
    """A smoke test that fails on a busy machine is reported and passes, because its time limits say nothing."""
    code, said = run(project, fail="make smoke", PROCESSORS="-1")
    assert code == 0
    assert "too busy" in said


@pytest.mark.parametrize(
    ("fail", "changes"),
    [
        ("podman image", {"RECEIPTS_CONTAINERS": "/nowhere"}),
        ("podman image,make-base-image.sh docker.io/library/python:3.11-slim-bookworm", {}),
        ("podman image", {"RECEIPTS_CONTAINERS": "/nowhere", "RECEIPTS_BASE": "registry.example.com/python:3.11"}),
    ],
)
def test_a_base_that_cannot_be_made_is_pulled(project: Path, fail: str, changes: dict[str, str]) -> None:
    """A machine without a setup folder, or whose script fails, gets the base from its registry."""
    code, said = run(project, fail=fail, **changes)
    assert code == 0, said
    calls = (project / "calls").read_text().splitlines()
    assert calls.index("podman pull") < calls.index("make images") < calls.index("make smoke")
    assert f"pulling {changes.get('RECEIPTS_BASE', 'docker.io/library/python:3.11-slim-bookworm')}" in said


@pytest.mark.parametrize("changes", [{"CI": "false"}, {"RECEIPTS_IMAGES": "0"}])
def test_nothing_is_done_unless_asked(project: Path, changes: dict[str, str]) -> None:
    """A developer's machine, and one that is told so, builds no image."""
    code, said = run(project, **changes)
    assert (code, said.count("\n")) == (0, 1)
