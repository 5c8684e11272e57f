"""An environment for whole worker processes: an emulator process, an endpoint, the resources and a fleet."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.endpoint import FakeEndpoint
from tests.support.fleet import Fleet, WorkerProcess
from worker.aws.clients import Clients, clients
from worker.aws.resources import BucketSpec, QueueSpec, ResourceSpecs, TableSpec
from worker.commands.support import local_stack
from worker.settings import Settings
from worker.workbench.local import emulator, environment, provision
from worker.workbench.local.processes import Family
from worker.workbench.local.provision import Provisioned


@dataclass(frozen=True)
class Site:
    """Everything that a worker needs. Nothing in it reaches AWS."""

    aws: Clients
    resources: Provisioned
    fleet: Fleet

    async def worker(self, **settings: object) -> WorkerProcess:
        """Start a worker with the default settings, overridden by `settings`, and wait until it answers."""
        worker = self.fleet.start(
            queue_url=self.resources.queue_url,
            table=self.resources.table,
            bucket=self.resources.bucket,
            endpoint=environment.ENDPOINT,
            **settings,
        )
        await self.fleet.started(worker)
        return worker


@asynccontextmanager
async def site(name: str, endpoint: FakeEndpoint) -> AsyncIterator[Site]:
    """Set up a site with resources named `name`. `endpoint` must be served already."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix=f"receipts-{name}-")))
        family = await stack.enter_async_context(Family(directory / "family"))
        listener = emulator.listen(0)
        url = emulator.url(listener)  # starting the emulator closes this end
        base = local_stack.isolated(os.environ, also=("RECEIPTS_",))
        await emulator.start(family, listener, base=base, scratch=directory / "family", data=None)
        variables = base | environment.aws(emulator_url=url, runtime_url=endpoint.url)
        os.environ.update(variables)
        aws = await stack.enter_async_context(clients(Settings()))
        specs = ResourceSpecs(bucket=BucketSpec(name=name), queue=QueueSpec(name=name), table=TableSpec(name=name))
        made = await provision.make(aws, specs, account=environment.ACCOUNT, region=environment.REGION)
        yield Site(aws, made, stack.enter_context(Fleet(variables, directory)))
