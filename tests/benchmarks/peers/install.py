"""Other SQS consumers, each in its own environment under build/peers, which is created on first use."""

import hashlib
import os
import shutil
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.contenders import ROOT, Contender, bare

HERE = Path(__file__).parent
INSTALL_S = 600
ENVIRONMENTS = ROOT / "build" / "peers"


def peers() -> Iterator[Contender | str]:
    """Yield each peer that can run here, or a line that says why one cannot."""
    yield bare("gather", client="aioboto3", calls="same", loop="asyncio")
    modules = {
        "taskiq": ("taskiq", "worker", "with_taskiq:broker", "--workers", "1", "--max-async-tasks", "{slots}"),
        "dramatiq": ("dramatiq", "with_dramatiq", "--processes", "1", "--threads", "{slots}"),
        "celery": ("celery", "-A", "with_celery", "worker", "-P", "threads", "-c", "{slots}", "-l", "WARNING"),
    }
    for name, (program, *arguments) in modules.items():
        try:
            programs = _python_environment(name)
        except (OSError, subprocess.SubprocessError) as error:
            yield f"{name} could not be installed: {error}"
            continue
        yield Contender(
            name=name,
            command=(str(programs / program), *arguments),
            send=(str(programs / "python"), f"with_{name}.py", "{count}"),
            directory=HERE,
        )
    try:
        yield _sqs_consumer()
    except (OSError, subprocess.SubprocessError) as error:
        yield f"sqs-consumer could not be installed: {error}"


def _python_environment(name: str) -> Path:
    """Create the environment of a Python peer; return the directory of its programs."""
    requirements = HERE / f"with_{name}.txt"
    directory = ENVIRONMENTS / name
    programs = directory / "bin"
    if not _ready(directory, requirements):
        venv.create(directory, with_pip=True, clear=True)
        command = (programs / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", requirements)
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_S)
        _mark(directory, requirements)
    return programs


def _sqs_consumer() -> Contender:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise OSError("node and npm are not installed")
    directory, package = ENVIRONMENTS / "sqs-consumer", HERE / "package.json"
    if not _ready(directory, package):
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copy(package, directory)
        command = (npm, "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock")
        subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=INSTALL_S)
        _mark(directory, package)
    # Node looks for packages beside the module.
    script = Path(shutil.copy(HERE / "with_sqs_consumer.mjs", directory))
    return Contender(
        name="sqs-consumer",
        command=(node, script.name),
        environment={"CALLS": os.fspath(HERE / "calls.json"), "NODE_ENV": "production"},
        directory=directory,
    )


def _ready(directory: Path, requirements: Path) -> bool:
    mark = directory / ".installed"
    return mark.exists() and mark.read_text() == _digest(requirements)


def _mark(directory: Path, requirements: Path) -> None:
    (directory / ".installed").write_text(_digest(requirements))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
