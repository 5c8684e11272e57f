"""Fixtures that run the real clients against two AWS emulators, each in a separate process."""

import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.component.differences import DIFFERENCES
from tests.component.emulators import Aws, Emulator, Emulators
from tests.support.endpoint import FakeEndpoint
from worker.aws.clients import clients
from worker.aws.resources import BucketSpec, QueueSpec, ResourceSpecs, TableSpec
from worker.commands.support import local_stack
from worker.settings import Settings
from worker.workbench.local import environment, provision

NOWHERE = "http://127.0.0.1:9"
"""The discard port, which refuses connections: the endpoint of tests without an endpoint."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker that skips a test on an emulator."""
    config.addinivalue_line("markers", "not_on(emulator, difference): skip the test on an emulator, see differences.py")


@pytest.fixture(scope="session")
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="receipts-test-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def _emulators(_scratch: Path) -> Iterator["Emulators"]:
    with ExitStack() as stack:
        yield Emulators(stack, _scratch)


@pytest.fixture(params=["ministack", "moto"])
def emulator(request: pytest.FixtureRequest, _emulators: Emulators) -> Emulator:
    """Each AWS emulator in turn, except those that the test's marker `not_on` names."""
    for marker in request.node.iter_markers("not_on"):
        name, difference = marker.args
        if name == request.param:
            pytest.skip(f"{name} differs from AWS: {DIFFERENCES[name, difference]}")
    return _emulators.get(request.param)


@pytest.fixture
def aws_environment(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Variables that point this process at the emulator. The user's own AWS settings are removed."""
    variables = environment.aws(emulator_url=emulator.url, runtime_url=NOWHERE)
    for name in [name for name in os.environ if name not in local_stack.isolated(os.environ, also=("RECEIPTS_",))]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def specs() -> ResourceSpecs:
    """Specs with unique names. A test module may override this fixture."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    return ResourceSpecs(bucket=BucketSpec(name=name), queue=QueueSpec(name=name), table=TableSpec(name=name))


@pytest.fixture
async def aws(emulator: Emulator, aws_environment: dict[str, str], specs: ResourceSpecs) -> AsyncIterator[Aws]:
    """Bucket, queues and table as on AWS, and the worker's own clients."""
    short = Settings(receive_wait_s=1, call_timeout_s=15, max_in_flight=8)
    async with clients(short) as opened:
        made = await provision.make(opened, specs, account=emulator.account, region=environment.REGION)
        settings = short.model_copy(
            update={
                "queue_url": made.queue_url,
                "table": made.table,
                "bucket": made.bucket,
                "endpoint": environment.ENDPOINT,
            }
        )
        yield Aws(emulator=emulator, specs=specs, resources=made, settings=settings, clients=opened)


@pytest.fixture
async def endpoint(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeEndpoint]:
    """A fake endpoint that the worker's clients use."""
    async with FakeEndpoint().serve() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", running.url)
        yield running


@pytest.fixture
def fast(aws: Aws) -> dict[str, Any]:
    """Settings with short times."""
    return {
        **aws.settings.model_dump(exclude_unset=False),
        "visibility_s": 6,
        "heartbeat_s": 2,
        "http_port": 0,
        "backoff_base_s": 0.2,
        "backoff_cap_s": 0.5,
        "call_base_s": 0.05,
        "call_cap_s": 0.2,
        "breaker_probe_s": 0.2,
        "drain_s": 5,
    }


@pytest.fixture
def signed_environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets the environment: AWS at an address, with the access key `one`."""

    def point(url: str, **more: str) -> None:
        for name in [name for name in os.environ if name not in local_stack.isolated(os.environ, also=("RECEIPTS_",))]:
            monkeypatch.delenv(name)
        for name, value in environment.aws(emulator_url=url, runtime_url=url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "one")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret one")
        for name, value in more.items():
            monkeypatch.setenv(name, value)

    return point
