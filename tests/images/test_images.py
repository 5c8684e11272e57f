"""The contents of the images."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
import yaml

from worker.commands.root import VERBS

if TYPE_CHECKING:
    from tests.images.conftest import Image

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
AWS = {
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",  # the plain client reads only this
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}
CLIENTS = """
import asyncio
import aioboto3
from worker.aws.clients import clients
from worker.settings import Settings

async def main():
    async with clients(Settings()):
        pass
    for service in SERVICES:
        async with aioboto3.Session().client(service):
            print(service)

asyncio.run(main())
"""


def slim() -> ModuleType:
    spec = importlib.util.spec_from_file_location("slim", DOCKER / "slim.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def services() -> set[str]:
    """Return every AWS service that the code creates a client for."""
    code = "\n".join(path.read_text() for path in (ROOT / "worker").rglob("*.py"))
    return set(re.findall(r"\.client\(\s*\"([a-z0-9-]+)\"", code))


def test_the_services_that_the_code_uses_are_kept() -> None:
    """The service models that the code uses are not removed with the others."""
    assert {"s3", "sqs", "dynamodb", "sagemaker-runtime"} <= services()
    assert services() <= slim().AWS_SERVICES


def test_only_unused_files_are_removed(tmp_path: Path) -> None:
    """Other services, build tools and the other image's code are removed; the rest stays."""
    kept = [
        "botocore/data/s3/1/service-2.json.gz",
        "botocore/data/endpoints.json",
        "worker/runtime/worker.py",
        "uvloop/loop.so",
    ]
    gone = [
        "botocore/data/ec2/1/service-2.json.gz",
        "setuptools/__init__.py",
        "worker/reader/ocr.py",
        "uvloop/loop.pyx",
    ]
    for name in (*kept, *gone):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    freed = slim().remove(list(slim().unused(tmp_path, "worker")))
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == set(kept)
    assert freed == len(gone)


@pytest.mark.parametrize("name", ["worker.Dockerfile", "reader.Dockerfile"])
def test_the_linter_has_nothing_to_say(name: str) -> None:
    """Each Dockerfile passes hadolint, except for rules that it disables with a reason."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKER / name], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_services_are_built_here_and_hardened() -> None:
    """Each service of the compose file is built from a Dockerfile of the project, hardened, and stops in time."""
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    assert set(compose["services"]) == {"worker", "reader"}
    for service in compose["services"].values():
        assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_every_client_can_be_made_in_the_worker(worker: "Image") -> None:
    """The trimmed client library still creates every client that the code uses."""
    script = CLIENTS.replace("SERVICES", repr(sorted(services())))
    assert worker.python(script, **AWS).split() == sorted(services())


def test_the_worker_holds_no_reader_emulator_or_tools(worker: "Image") -> None:
    """The worker image has no OCR, emulator, compiler or package manager."""
    modules = ["ministack", "onnxruntime", "cv2", "rapidocr", "pip", "setuptools", "worker.reader", "moto"]
    programs = ["gcc", "cc", "make", "apt", "apt-get", "pip", "perl", "ld"]
    script = (
        "import json, shutil; from importlib.util import find_spec\n"
        f"found = [m for m in {modules!r} if find_spec(m)] + [p for p in {programs!r} if shutil.which(p)]\n"
        "print(json.dumps(found))"
    )
    assert json.loads(worker.python(script)) == []


@pytest.mark.parametrize("name", ["worker", "reader"])
def test_no_image_runs_as_root_or_can_become_it(name: str, request: pytest.FixtureRequest) -> None:
    """The process runs as its own account, and no setuid file gives it other privileges."""
    image: Image = request.getfixturevalue(name)
    assert image.config["User"] == "10001:10001"
    script = (
        "import os, pathlib, stat\n"
        "own = {entry.name for entry in pathlib.Path('/').iterdir()} - {'proc', 'sys', 'dev', 'tmp', 'run'}\n"
        "raised = [os.path.join(at, f) for top in own for at, _, files in os.walk('/' + top) for f in files\n"
        "    if os.lstat(os.path.join(at, f)).st_mode & (stat.S_ISUID | stat.S_ISGID)]\n"
        "print(os.getuid(), os.getgid(), raised)"
    )
    assert image.python(script) == "10001 10001 []"


@pytest.mark.parametrize(("name", "module"), [("worker", "worker.runtime.worker"), ("reader", "worker.reader.server")])
def test_every_imported_module_has_its_bytecode(name: str, module: str, request: pytest.FixtureRequest) -> None:
    """A start on a read-only file system compiles nothing."""
    script = (
        f"import importlib, os, sys; importlib.import_module({module!r})\n"
        "files = [m.__spec__ for m in list(sys.modules.values()) if getattr(m, '__spec__', None)]\n"
        "print([s.origin for s in files if (s.origin or '').endswith('.py') and s.cached\n"
        "    and not os.path.exists(s.cached)])"
    )
    image: Image = request.getfixturevalue(name)
    assert image.python(script) == "[]"


def test_signals_reach_the_processes(worker: "Image", reader: "Image") -> None:
    """Commands are in exec form, so that SIGTERM reaches Python without a shell in between."""
    assert worker.config["Cmd"] == ["receipts", "worker"]
    assert worker.health_check == ["CMD", "receipts", "health"]
    assert (reader.config["Entrypoint"][0], reader.config["Cmd"]) == ("python", ["serve"])


def test_a_worker_without_settings_says_what_is_missing(worker: "Image") -> None:
    """The worker's default command starts, and refuses missing settings with one line and exit 2."""
    done = worker.run("receipts", "worker", **AWS)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "RECEIPTS_QUEUE_URL" in done.stderr


def test_every_verb_but_local_works_in_the_worker(worker: "Image") -> None:
    """Every verb can be loaded without the code that the image leaves out."""
    script = (
        "from worker.commands import root\nfor verb in root.Verbs().list_commands(None): root.load(verb); print(verb)"
    )
    found = worker.python(script).split()
    assert found
    assert set(found) <= set(VERBS) - {"local"}
    assert {"worker", "health", "settings", "list"} <= set(found)


def test_the_reader_accepts_only_serve(reader: "Image") -> None:
    """The reader accepts SageMaker's argument `serve` and refuses any other."""
    assert reader.run("serve", "--help").returncode == 0
    assert reader.run("train").returncode == 2
