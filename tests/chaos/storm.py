"""The storm: many uploads, killed workers, a failing endpoint, cut connections and repeated deliveries.

At the end it compares the table and the queues with the uploads, over connections without faults.
"""

import asyncio
import json
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.endpoint import FakeEndpoint, total_of
from tests.support.fleet import Fleet
from tests.support.pictures import picture
from tests.support.proxy import Fault, FaultyProxy
from worker.aws.clients import Clients, clients
from worker.aws.resources import BucketSpec, QueueSpec, ResourceSpecs, TableSpec
from worker.commands.support import local_stack
from worker.receipts.record import Record
from worker.results.polling import records
from worker.settings import Settings
from worker.workbench.local import emulator, environment, provision
from worker.workbench.local.processes import Family
from worker.workbench.local.provision import Provisioned

Tell = Callable[[str, int], None]
"""Called with the current phase and the number of records so far."""


@dataclass(frozen=True, kw_only=True)
class Storm:
    """The size of the storm and the rates of its faults."""

    uploads: int = 2_000
    workers: int = 3
    kill_every_s: float = 2.0
    failing: float = 0.20
    """Share of invocations that are throttled or fail."""
    reset: float = 0.05
    """Share of calls, to any service, whose connection is cut."""
    twice_every: int = 10
    """Every n-th message is delivered twice."""
    copies_every: int = 20
    """Every n-th upload repeats the bytes of an earlier one."""
    newer_every: int = 50
    """Every n-th upload goes to the key of the one before it."""
    seed: int = 1
    time_limit_s: float = 1_500.0


@dataclass
class Figures:
    """The results of a storm."""

    uploads: int = 0
    documents: int = 0
    images: int = 0
    lost: int = 0
    wrong: int = 0
    duplicate_records: int = 0
    dead_lettered: int = 0
    invocations: int = 0
    invocations_per_image: float = 0.0
    invocations_allowed: float = 0.0
    """1.05 per image, plus one per message that was in flight at a kill."""
    kills: int = 0
    in_flight_at_kills: int = 0
    calls_cut: int = 0
    invocations_refused: int = 0
    most_receives: int = 0
    seconds: float = 0.0
    clean_stops: bool = False
    reasons: dict[str, int] = field(default_factory=dict)
    """Number of lost receipts by reason."""

    @property
    def sound(self) -> bool:
        """Return whether every guarantee held."""
        kept = not (self.lost or self.wrong or self.duplicate_records or self.dead_lettered)
        return kept and self.invocations <= self.invocations_allowed and self.clean_stops


@dataclass
class _Uploads:
    """The newest bytes of each key, and the number of uploads of each key."""

    newest: dict[str, bytes] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)


async def run(storm: Storm, *, tell: Tell = lambda _, __: None) -> Figures:
    """Run the storm until the queue is empty, and return its figures. Raise TimeoutError after `time_limit_s`."""
    async with AsyncExitStack() as stack:
        return await _Run(storm, tell).all(stack)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    saved = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


class _Run:
    def __init__(self, storm: Storm, tell: Tell) -> None:
        self._storm = storm
        self._tell = tell
        self._rng = random.Random(storm.seed)
        self._figures = Figures(uploads=storm.uploads)
        self._uploads = _Uploads()
        self._done = 0

    async def all(self, stack: AsyncExitStack) -> Figures:
        """Set everything up, run the storm, and return the figures."""
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="receipts-chaos-")))
        family = await stack.enter_async_context(Family(directory / "family"))
        listener = emulator.listen(0)
        url = emulator.url(listener)
        base = local_stack.isolated(os.environ, also=("RECEIPTS_",))
        await emulator.start(family, listener, base=base, scratch=directory / "family", data=None)
        self._endpoint = FakeEndpoint(service_s=lambda: self._rng.uniform(0.02, 0.2), fault=self._endpoint_fault)
        await stack.enter_async_context(self._endpoint.serve())
        self._proxy = FaultyProxy(url, fault=self._network_fault)
        await stack.enter_async_context(self._proxy.serve())
        # The storm's own calls bypass the proxy; only the workers meet faults.
        stack.enter_context(_environment(base | environment.aws(emulator_url=url, runtime_url=self._endpoint.url)))
        self._aws = await stack.enter_async_context(clients(Settings()))
        self._made = await self._make(self._aws)
        variables = base | environment.aws(emulator_url=self._proxy.url, runtime_url=self._endpoint.url)
        self._fleet = stack.enter_context(Fleet({**variables, **self._settings()}, directory))
        return await self._run_phases()

    def _settings(self) -> dict[str, str]:
        settings = {
            "queue_url": self._made.queue_url,
            "table": self._made.table,
            "bucket": self._made.bucket,
            "endpoint": environment.ENDPOINT,
            "max_in_flight": 2,
            # Scaled down: an invocation takes 0.2 s here instead of 60, so leases and claims can be short. As with the
            # default settings, the message of a killed worker returns after that worker's claim has expired.
            "endpoint_timeout_s": 2,
            "visibility_s": 24,
            "heartbeat_s": 6,
            "receive_wait_s": 2,
            "call_timeout_s": 5,
            "backoff_base_s": 1,
            "drain_s": 10,
        }
        return {f"RECEIPTS_{name.upper()}": str(value) for name, value in settings.items()}

    async def _make(self, aws: Clients) -> Provisioned:
        """Create bucket, queues and table. Events go to a separate queue, from which `_feed` repeats some of them."""
        specs = ResourceSpecs(
            bucket=BucketSpec(name="chaos"), queue=QueueSpec(name="chaos"), table=TableSpec(name="chaos")
        )
        made = await provision.make(aws, specs, account=environment.ACCOUNT, region=environment.REGION)
        self._feed_url = (await aws.sqs.create_queue(QueueName="chaos-feed"))["QueueUrl"]
        arn = f"arn:aws:sqs:{environment.REGION}:{environment.ACCOUNT}:chaos-feed"
        events: Any = {"QueueConfigurations": [{"QueueArn": arn, "Events": list(specs.bucket.events)}]}
        await aws.s3.put_bucket_notification_configuration(Bucket=made.bucket, NotificationConfiguration=events)
        return made

    def _endpoint_fault(self) -> str | None:
        roll = self._rng.random()
        if roll < self._storm.failing:
            self._figures.invocations_refused += 1
            return self._rng.choice(["throttle", "throttle", "ServiceUnavailable", "ModelError:500", "InternalFailure"])
        if roll < self._storm.failing + self._storm.reset:
            self._figures.calls_cut += 1
            return "reset" if roll < self._storm.failing + self._storm.reset / 2 else "lost"
        return None

    def _network_fault(self, _: Any) -> Fault | None:
        if self._rng.random() >= self._storm.reset:
            return None
        self._figures.calls_cut += 1
        return self._rng.choice(["before", "after", "middle"])

    async def _run_phases(self) -> Figures:
        began = time.monotonic()
        async with asyncio.timeout(self._storm.time_limit_s):
            for _ in range(self._storm.workers):
                self._fleet.start()
            killing = asyncio.create_task(self._kill(), name="killer")
            feeding = asyncio.create_task(self._feed(), name="feeder")
            await self._upload()
            await feeding
            await self._all_done()
            killing.cancel()
            self._figures.seconds = round(time.monotonic() - began, 1)
            self._tell("stopping", self._done)
            await self._stop()
            await self._count()
        return self._figures

    async def _upload(self) -> None:
        bodies: list[bytes] = []
        keys: list[str] = []
        for number in range(self._storm.uploads):
            again = number % self._storm.newer_every == self._storm.newer_every - 1
            copied = bodies and number % self._storm.copies_every == self._storm.copies_every // 2
            keys.append(keys[-1] if again else f"receipts/{number:05}.jpg")
            bodies.append(self._rng.choice(bodies) if copied else picture(number))
            await self._aws.s3.put_object(Bucket=self._made.bucket, Key=keys[-1], Body=bodies[-1])
            self._uploads.newest[keys[-1]] = bodies[-1]
            self._uploads.times[keys[-1]] += 1
            if number % 50 == 49:
                self._tell("uploading", self._done)
        self._figures.documents = len(self._uploads.newest)
        self._figures.images = len(set(bodies))

    async def _feed(self) -> None:
        """Forward events to the workers' queue, out of order and some of them twice."""
        passed = 0
        while passed < self._storm.uploads:
            reply = await self._aws.sqs.receive_message(
                QueueUrl=self._feed_url, MaxNumberOfMessages=10, WaitTimeSeconds=2
            )
            messages = reply.get("Messages", [])
            bodies: list[str] = []
            for message in messages:
                if json.loads(message["Body"]).get("Event") == "s3:TestEvent":
                    continue
                passed += 1
                bodies += [message["Body"]] * (2 if passed % self._storm.twice_every == 0 else 1)
            self._rng.shuffle(bodies)
            for at in range(0, len(bodies), 10):
                entries: Any = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[at : at + 10])]
                await self._aws.sqs.send_message_batch(QueueUrl=self._made.queue_url, Entries=entries)
            if messages:
                gone: Any = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
                await self._aws.sqs.delete_message_batch(QueueUrl=self._feed_url, Entries=gone)

    async def _kill(self) -> None:
        """Kill the oldest worker after it has started, and start another at once."""
        while True:
            await asyncio.sleep(self._storm.kill_every_s)
            victim = self._fleet.workers[-self._storm.workers]
            await self._fleet.started(victim)
            health = await victim.health()
            victim.process.kill()
            self._figures.kills += 1
            self._figures.in_flight_at_kills += health.get("in_flight", 0)
            self._fleet.start()

    async def _found(self) -> dict[str, Record]:
        documents = [f"{self._made.bucket}/{key}" for key in self._uploads.newest]
        return await records(self._aws.dynamodb, self._made.table, documents)

    async def _all_done(self) -> None:
        """Wait until the queue is empty."""
        while await self._waiting(self._made.queue_url):
            self._done = len(await self._found())
            self._tell("working", self._done)
            await asyncio.sleep(1)

    async def _waiting(self, url: str) -> int:
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        reply = await self._aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(value) for value in reply["Attributes"].values())

    async def _stop(self) -> None:
        alive = [worker for worker in self._fleet.workers if worker.process.is_alive()]
        for worker in alive:
            await self._fleet.started(worker)
            worker.process.terminate()
        self._figures.clean_stops = [await worker.ended() for worker in alive] == [0] * len(alive)

    async def _count(self) -> None:
        figures, found = self._figures, await self._found()
        for key, body in self._uploads.newest.items():
            record = found.get(f"{self._made.bucket}/{key}")
            if record is None or record.status not in {"extracted", "needs_review"}:
                figures.lost += 1
                reason = "no record" if record is None else f"{record.status}: {record.reason}"
                figures.reasons[reason] = figures.reasons.get(reason, 0) + 1
                continue
            total = record.receipt.total if record.receipt else None
            figures.wrong += total != Decimal(total_of(body))
            figures.duplicate_records += len(record.history) >= self._uploads.times[key]
            figures.most_receives = max(figures.most_receives, record.receives)
        figures.dead_lettered = await self._waiting(self._made.dead_letter_url)
        figures.invocations = sum(self._endpoint.calls.values())
        figures.invocations_per_image = round(figures.invocations / figures.images, 4)
        figures.invocations_allowed = 1.05 * figures.images + figures.in_flight_at_kills
