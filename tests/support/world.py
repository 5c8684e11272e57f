"""A simulated world for the real worker code: models of SQS, S3, DynamoDB and the endpoint, and killable workers.

A worker "dies" before or after any of its calls takes effect: its tasks are cancelled, and later calls have no effect.
"""

import asyncio
import contextvars
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Self, cast

from botocore.exceptions import ClientError

from tests.support.endpoint import reading
from tests.support.sqs import QueueModel
from tests.support.table import TableModel
from tests.support.virtual import VirtualLoop
from worker.aws.clients import Clients
from worker.errors import DependencyFault
from worker.messages.consumer import Work
from worker.messages.leases import Lease
from worker.messages.outcomes import Outcome
from worker.messages.queue import Queue, Received
from worker.receipts.document import timestamp
from worker.runtime.build import Clocks, Dependencies, Parts, build
from worker.settings import Settings
from worker.telemetry import Telemetry

BUCKET = "b"
MAX_RECEIVES = 5
SETTINGS = Settings.model_construct(  # skips validation: the values are smaller than a real deployment allows
    queue_url="queue",
    endpoint="e",
    table="table",
    max_in_flight=3,
    invocations=2,
    memory_mib=1,
    upload_limit_mib=0.1,
    endpoint_timeout_s=0,
    visibility_s=12,
    heartbeat_s=4,
    receive_wait_s=5,
    drain_s=2,
    call_base_s=0.05,
    call_cap_s=0.5,
    breaker_probe_s=2,
    backoff_cap_s=20,
)
_OWNER: contextvars.ContextVar["Process | None"] = contextvars.ContextVar("process", default=None)
_HANDLE: contextvars.ContextVar[str] = contextvars.ContextVar("handle")


class World:
    """Everything outside the workers. `violations` collects what must never happen."""

    def __init__(self, loop: VirtualLoop, *, seed: int, versioned: bool, sequenced: bool) -> None:
        self.loop = loop
        self.rng = random.Random(seed)
        self.queue = QueueModel(clock=loop.time, rng=self.rng, max_receive_count=MAX_RECEIVES)
        self.table = TableModel()
        self.table.on_put = self._on_put
        self.versioned, self.sequenced = versioned, sequenced
        self.objects: dict[tuple[str, str | None], bytes] = {}
        self.uploads: dict[str, list[bytes]] = {}
        self.order: dict[tuple[str, str], int] = {}
        """Number of the upload (0, 1, …) by document and time."""
        self.down: set[str] = set()
        self.lost_replies: Counter[str] = Counter()
        self.invocations: Counter[str] = Counter()
        self.answers_not_received: Counter[str] = Counter()
        """Invocations whose answer was not received: the worker had died, stopped or lost the message by then."""
        self.service_s = 0.5
        self.unreadable: set[bytes] = set()
        """Pictures for which the endpoint always returns an unusable answer."""
        self.crashes = self.leases_lost = 0
        self.processes: list[Process] = []
        self.violations: list[str] = []
        loop.set_task_factory(_owned_task)

    def upload(self, key: str, body: bytes) -> None:
        """Store an object and send its event to the queue."""
        before = self.uploads.setdefault(key, [])
        version = f"v{len(before)}" if self.versioned else None
        self.objects[key, version] = self.objects[key, None] = body
        # Without versions and sequencers, two uploads of the same bytes to one key within a second count as one.
        self.loop.now += 0.002 if self.versioned or self.sequenced else 1.0
        at = timestamp_of(self.loop.now)
        self.order[f"{BUCKET}/{key}", at] = len(before)
        before.append(body)
        thing = {"key": key, "size": len(body), "eTag": _etag(body), "versionId": version}
        if self.sequenced:
            thing["sequencer"] = f"{len(before):X}"
        event = {
            "eventVersion": "2.1",
            "eventName": "ObjectCreated:Put",
            "eventTime": at,
            "s3": {"bucket": {"name": BUCKET}, "object": {name: value for name, value in thing.items() if value}},
        }
        self.queue.send(f"message-{len(self.order)}", json.dumps({"Records": [event]}))

    def _on_put(self, old: dict[str, Any] | None, new: dict[str, Any]) -> None:
        newer, older = self.index(new), self.index(old) if old else -1
        if newer < older:
            self.violations.append(f"upload {older} of {new['document']} was overwritten by upload {newer}")

    def index(self, row: dict[str, Any]) -> int:
        """Return the number of the upload that `row` describes."""
        return self.order[row["document"], row["uploaded_at"]]

    def start(self) -> "Process":
        """Start a worker."""
        process = Process(self)
        self.processes.append(process)
        return process

    @property
    def alive(self) -> list["Process"]:
        """Return the running workers."""
        return [process for process in self.processes if not process.dead and not process.main.done()]

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def close(self) -> None:
        """Cancel all tasks and close the loop."""
        for process in self.processes:
            process.dead = True
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.loop.close()


def timestamp_of(now: float) -> str:
    """Return a time of the virtual clock in the format of S3 events."""
    import datetime as dt

    return timestamp(dt.datetime.fromtimestamp(now, dt.UTC))


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _owned_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> "asyncio.Task[Any]":
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    if owner := _OWNER.get():
        owner.tasks.append(task)
    return task


class _Inline(Executor):
    """An executor that runs each call immediately, because threads do not follow virtual time."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - passed on to the caller
            future.set_exception(error)
        return future


class _Body:
    """The body of a reply, with the interface of aiobotocore's streams."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self, size: int | None = None) -> bytes:
        """Return the next `size` bytes, or all that is left."""
        read = self._data[:size]
        self._data = self._data[len(read) :]
        return read


class Process:
    """One worker: the real consumer, leases, settlement, pipeline and store, with clients of this world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dead = False
        self.fuse: int | None = None
        """Number of steps until the worker dies."""
        self.tasks: list[asyncio.Task[Any]] = []
        self.receiving = 0
        self.main: asyncio.Task[None] = world.loop.run_until_complete(self._start())

    async def _start(self) -> "asyncio.Task[None]":
        _OWNER.set(self)
        client = cast("Any", _Client(self))
        clocks = Clocks(monotonic=self.world.loop.time, epoch=self.world.loop.time)
        rng = random.Random(self.world.rng.random())
        telemetry = Telemetry(clock=clocks.epoch)
        parts = build(
            SETTINGS,
            Clients(sqs=client, s3=client, dynamodb=client, sagemaker=client),
            Queue(client, "queue", dead_letter_url="dead", max_receive_count=MAX_RECEIVES),
            _Inline(),
            telemetry=telemetry,
            dependencies=Dependencies(SETTINGS, telemetry, clocks=clocks, rng=rng),
            clocks=clocks,
            rng=rng,
            around=self._around,
        )
        self.permits, self.consumer = parts.permits, parts.consumer
        return asyncio.create_task(self._run(parts))

    def _around(self, work: Work) -> Work:
        async def observed(received: Received, lease: Lease) -> Outcome:
            _HANDLE.set(received.receipt_handle)
            try:
                return await work(received, lease)
            finally:
                self.world.leases_lost += lease.lost is not None

        return observed

    async def _run(self, parts: Parts) -> None:
        sides = [asyncio.create_task(parts.keeper.run()), asyncio.create_task(parts.settler.run())]
        try:
            await parts.consumer.run()
        except DependencyFault as fault:
            self.world.violations.append(f"a worker ended by itself: {fault}")
        finally:
            for side in sides:
                side.cancel()

    def stop(self) -> None:
        """Stop the worker as SIGTERM does."""
        self.consumer.stop()

    def die(self) -> None:
        """End the worker as SIGKILL does."""
        if not self.dead:
            self.dead = True
            self.world.crashes += 1
            for task in self.tasks:
                self.world.loop.call_soon(task.cancel)

    def step(self) -> None:
        """Mark a point at which the process may die."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.die()
        if self.dead:
            raise asyncio.CancelledError


class _Client:
    """The four AWS clients of one process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world

    async def _call(self, service: str, effect: Callable[[], dict[str, Any]], *, service_s: float = 0.0) -> Any:
        """Send the request, apply the effect, return the reply. The process may die before and after each step."""
        world, step = self._world, self._process.step
        step()
        await asyncio.sleep(world.rng.uniform(0.01, 0.2))
        step()
        if service in world.down:
            error: Any = {"Error": {"Code": "InternalFailure"}, "ResponseMetadata": {"HTTPStatusCode": 500}}
            raise ClientError(error, service)
        reply = effect()
        await asyncio.sleep(service_s + world.rng.uniform(0.01, 0.2))
        step()
        if world.lost_replies[service] > 0:
            world.lost_replies[service] -= 1
            raise ConnectionResetError(service)
        return reply

    async def receive_message(self, **request: Any) -> Any:
        process, wanted = self._process, request["MaxNumberOfMessages"]
        process.receiving += wanted
        if process.receiving + process.consumer.in_flight > process.permits.taken:
            self._world.violations.append("a receive was made without a permit")
        try:
            process.step()
            if "sqs" not in self._world.down:
                await self._world.queue.wait(request["WaitTimeSeconds"])
            return await self._call("sqs", lambda: self._world.queue.receive(wanted, request["VisibilityTimeout"]))
        finally:
            process.receiving -= wanted

    async def delete_message_batch(self, **request: Any) -> Any:
        return await self._call("sqs", lambda: self._world.queue.delete(request["Entries"]))

    async def change_message_visibility_batch(self, **request: Any) -> Any:
        return await self._call("sqs", lambda: self._world.queue.change_visibility(request["Entries"]))

    async def send_message_batch(self, **request: Any) -> Any:
        def effect() -> dict[str, Any]:
            self._world.queue.sent_dead += [entry["MessageBody"] for entry in request["Entries"]]
            return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}

        return await self._call("sqs", effect)

    async def get_object(self, **request: Any) -> Any:
        def effect() -> dict[str, Any]:
            body = self._world.objects[request["Key"], request.get("VersionId")]
            about = {"ContentLength": len(body), "ETag": f'"{_etag(body)}"', "ResponseMetadata": {}}
            return {"Body": _Body(body), **about}

        return await self._call("s3", effect)

    async def put_item(self, **request: Any) -> Any:
        if not self._world.queue.held(_HANDLE.get()):
            self._world.violations.append("a record was written under a lease that had ended")
        return await self._call("dynamodb", lambda: self._world.table.put(request))

    async def update_item(self, **request: Any) -> Any:
        return await self._call("dynamodb", lambda: self._world.table.update(request))

    async def query(self, **_: Any) -> Any:
        """Return no items: the table model has no indexes, so no duplicates are found."""
        return {"Items": []}

    async def get_item(self, **request: Any) -> Any:
        return await self._call("dynamodb", lambda: self._world.table.get(request))

    async def invoke_endpoint(self, **request: Any) -> Any:
        world, picture = self._world, request["Body"]
        content, served = hashlib.sha256(picture).hexdigest(), False

        def effect() -> dict[str, Any]:
            nonlocal served
            if picture in world.unreadable:
                return {"Body": _Body(b"{}"), "InvokedProductionVariant": "v"}
            served = True
            world.invocations[content] += 1
            return {"Body": _Body(reading(picture)), "InvokedProductionVariant": "v"}

        try:
            return await self._call("sagemaker", effect, service_s=world.service_s)
        except BaseException:
            world.answers_not_received[content] += served
            raise
