"""A minimal load server that replaces SQS, S3, DynamoDB and SageMaker at a small, constant cost.

    python -m tests.benchmarks.load_server '{"messages": 1000, "service_s": 0.5}'

prints its address, then a line of figures for each line of its standard input, and ends with its standard input. An
input line is a JSON object of changes: fields of `Load`, `add` (messages to put on the queue) or `pace` (messages per
second, and their number). The queue has visibility as SQS has. The table stores nothing, so every claim is granted and
every write succeeds. Signatures are not checked.

The key and the bytes of an object contain the number of its message, so that each call can be assigned to a message.
All times are of the system's monotonic clock, which all processes share.
"""

import asyncio
import hashlib
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.load import Load
from tests.benchmarks.load_http import Connection
from tests.benchmarks.load_queue import Message

ANSWER = json.dumps(
    {
        "receipt": {
            "merchant": {"name": "Bench Shop"},
            "purchase_date": "2026-03-04",
            "currency": "EUR",
            "total": "12.34",
            "items": [{"description": f"Thing {number}", "quantity": "1", "amount": "1.00"} for number in range(12)],
        },
        "confidence": {"total": 0.99, "merchant.name": 0.9, "purchase_date": 0.95},
        "model_version": "bench",
    }
).encode()
NONSENSE = b"The total seems to be"
NUMBER = re.compile(rb"r/(\d+)\.jpg")
"""The key of the object in a request."""
COMMENT = re.compile(rb"bench:(\d+);")
"""The number of the message in the bytes of an object."""
QUEUE_URL = "/000000000000/bench"


class Server:
    """A request handler on a `Load`, which also holds the waiting long polls."""

    def __init__(self, load: Load, picture: bytes) -> None:
        self.load = load
        self.address = ""
        self._picture = picture
        self._polls: dict[Connection, tuple[dict[str, Any], asyncio.TimerHandle]] = {}
        self._held: list[Callable[[], None]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._pacing: set[asyncio.Task[None]] = set()
        self._actions: dict[str, Callable[[Connection, bytes], None]] = {
            "ReceiveMessage": self._receive,
            "SendMessage": self._send_one,
            "SendMessageBatch": self._send_batch,
            "DeleteMessage": self._delete_one,
            "DeleteMessageBatch": self._delete_batch,
            "ChangeMessageVisibility": self._change_one,
            "ChangeMessageVisibilityBatch": self._change_batch,
            "GetQueueAttributes": self._attributes,
            "GetQueueUrl": self._url,
            "ListQueues": self._list,
            "PutItem": self._put,
            "UpdateItem": self._agree,
            "GetItem": self._agree,
            "Query": self._nothing,
        }

    def change(self, command: dict[str, Any]) -> None:
        """Apply the changes of one line of standard input."""
        self.load.add(command.pop("add", 0))
        if pace := command.pop("pace", None):
            task = asyncio.get_running_loop().create_task(self._pace(*pace))
            self._pacing.add(task)
            task.add_done_callback(self._pacing.discard)
        for name, value in command.items():
            setattr(self.load, name, value)
        if not self.load.hold:
            held, self._held = self._held, []
            for answer in held:
                answer()
        self.wake()

    async def _pace(self, per_s: float, count: int) -> None:
        began = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / per_s - time.monotonic()))
            self.load.add(1)
            self.wake()

    def serve(self, connection: Connection, head: bytes, body: bytes) -> None:
        """Answer one request, at once or later."""
        line = head[: head.find(b"\r\n")]
        if line.startswith(b"GET"):
            self.load.calls["get_object"] += 1
            number = NUMBER.search(line)
            comment = b"bench:%012d;" % int(number[1] if number else 0)
            picture = self._picture[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
            kind = b'image/jpeg\r\nETag: "e"\r\nLast-Modified: Wed, 04 Mar 2026 10:00:00 GMT'
            connection.reply(picture + self._picture[2:], kind)
        elif b"/invocations" in line:
            self._invoke(connection, body)
        else:
            at = head.lower().find(b"x-amz-target:")
            target = head[at + 13 : head.find(b"\r\n", at)].strip().decode().rpartition(".")[2]
            self.load.calls[target] += 1
            answer = self._actions.get(target)
            if answer is None:
                connection.reply(b'{"__type":"UnknownOperationException"}', status=b"400 Bad Request")
            else:
                answer(connection, body)

    def _invoke(self, connection: Connection, body: bytes) -> None:
        load = self.load
        load.calls["invoke_endpoint"] += 1
        began = time.monotonic()
        found = COMMENT.search(body, 0, 64)
        number = int(found[1]) if found else 0
        if number in load.visible_at:
            load.before_s.append(began - load.visible_at[number])
        nonsense = bool(load.nonsense_every) and number % load.nonsense_every == 0 and number not in load.invoked
        load.invoked.add(number)
        service_s = load.next_service_s(number)
        load.running[connection] = (began, service_s)
        load.most_running = max(load.most_running, len(load.running))

        def answer() -> None:
            if load.hold:
                self._held.append(answer)
                return
            del load.running[connection]
            load.served_s += service_s
            load.answered_at[number] = time.monotonic()
            kind = b"application/json\r\nx-Amzn-Invoked-Production-Variant: AllTraffic"
            connection.reply(NONSENSE if nonsense else ANSWER, kind)

        if service_s:
            asyncio.get_running_loop().call_later(service_s, answer)
        else:
            answer()

    def _receive(self, connection: Connection, body: bytes) -> None:
        load = self.load
        request = json.loads(body)
        load.first_receive = load.first_receive or time.monotonic()
        if self._hand_out(connection, request):
            return
        wait_s = float(request.get("WaitTimeSeconds", 0))
        timer = asyncio.get_running_loop().call_later(wait_s, self._empty, connection)
        self._polls[connection] = (request, timer)
        self._rearm()

    def _hand_out(self, connection: Connection, request: dict[str, Any]) -> bool:
        load = self.load
        if load.paused:
            return False
        most = int(request.get("MaxNumberOfMessages", 1))
        if load.endless and load.queue.visible < most:
            load.add(most)
        visibility_s = request.get("VisibilityTimeout")
        found = load.queue.receive(most, visibility_s=load.visibility_s if visibility_s is None else visibility_s)
        if found:
            connection.reply_json({"Messages": [_received(message) for message in found]})
        return bool(found)

    def _empty(self, connection: Connection) -> None:
        del self._polls[connection]
        connection.reply_json({})

    def wake(self) -> None:
        """Answer waiting long polls with messages that have become visible."""
        for connection, (request, timer) in list(self._polls.items()):
            if not self._hand_out(connection, request):
                break
            timer.cancel()
            del self._polls[connection]
        self._rearm()

    def _rearm(self) -> None:
        """Set a timer for the next message that becomes visible by itself, while a long poll waits."""
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        at = self.load.queue.next_at()
        if self._polls and at is not None and not self.load.paused:
            self._alarm = asyncio.get_running_loop().call_later(max(0.0, at - time.monotonic()) + 0.001, self.wake)

    def forget(self, connection: Connection) -> None:
        """Drop the long poll of a closed connection."""
        if poll := self._polls.pop(connection, None):
            poll[1].cancel()

    def _send_one(self, connection: Connection, body: bytes) -> None:
        connection.reply_json(self._send(json.loads(body)))
        self.wake()

    def _send_batch(self, connection: Connection, body: bytes) -> None:
        sent = [{"Id": entry["Id"], **self._send(entry)} for entry in json.loads(body)["Entries"]]
        connection.reply_json({"Successful": sent, "Failed": []})
        self.wake()

    def _send(self, entry: dict[str, Any]) -> dict[str, str]:
        body = entry["MessageBody"]
        message = self.load.queue.send(body, delay_s=float(entry.get("DelaySeconds") or 0))
        return {"MessageId": f"m-{message.number}", "MD5OfMessageBody": _md5(body)}

    def _delete_one(self, connection: Connection, body: bytes) -> None:
        self.load.queue.delete(json.loads(body)["ReceiptHandle"])
        connection.reply(b"{}")

    def _delete_batch(self, connection: Connection, body: bytes) -> None:
        self._batch(connection, body, lambda entry: self.load.queue.delete(entry["ReceiptHandle"]))

    def _change_one(self, connection: Connection, body: bytes) -> None:
        request = json.loads(body)
        self.load.queue.change_visibility(request["ReceiptHandle"], request["VisibilityTimeout"])
        connection.reply(b"{}")
        self.wake()

    def _change_batch(self, connection: Connection, body: bytes) -> None:
        change = self.load.queue.change_visibility
        self._batch(connection, body, lambda entry: change(entry["ReceiptHandle"], entry["VisibilityTimeout"]))
        self.wake()

    def _batch(self, connection: Connection, body: bytes, act: Callable[[Any], None]) -> None:
        entries = json.loads(body)["Entries"]
        for entry in entries:
            act(entry)
        connection.reply_json({"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []})

    def _attributes(self, connection: Connection, _: bytes) -> None:
        policy = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead", "maxReceiveCount": 5}
        depth = {
            "ApproximateNumberOfMessages": str(self.load.queue.visible),
            "ApproximateNumberOfMessagesNotVisible": str(self.load.queue.in_flight),
            "VisibilityTimeout": str(round(self.load.visibility_s)),
        }
        connection.reply_json({"Attributes": {"RedrivePolicy": json.dumps(policy), **depth}})

    def _url(self, connection: Connection, _: bytes) -> None:
        connection.reply_json({"QueueUrl": self.address + QUEUE_URL})

    def _list(self, connection: Connection, _: bytes) -> None:
        connection.reply_json({"QueueUrls": [self.address + QUEUE_URL]})

    def _put(self, connection: Connection, body: bytes) -> None:
        load = self.load
        if found := NUMBER.search(body):
            number = int(found[1])
            load.last_stored = time.monotonic()
            load.stored.add(number)
            if number in load.answered_at:
                load.after_s.append(load.last_stored - load.answered_at[number])
        connection.reply(b"{}")

    def _agree(self, connection: Connection, _: bytes) -> None:
        connection.reply(b"{}")

    def _nothing(self, connection: Connection, _: bytes) -> None:
        connection.reply(b'{"Count":0,"ScannedCount":0,"Items":[]}')


def _received(message: Message) -> dict[str, Any]:
    sent = time.time() - (time.monotonic() - message.sent_at)
    return {
        "MessageId": f"m-{message.number}",
        "ReceiptHandle": message.handle,
        "Body": message.body,
        "MD5OfBody": _md5(message.body),
        "Attributes": {"ApproximateReceiveCount": str(message.receives), "SentTimestamp": str(int(sent * 1000))},
    }


def _md5(body: str) -> str:
    """Return the digest that some AWS clients check."""
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def _answer(line: str) -> None:
    """Write one line to the benchmark that started this server."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def serve(load: Load, picture: bytes) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = Server(load, picture)
    listener = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0, backlog=512)
    server.address = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    _answer(server.address)
    async for line in _lines(loop):
        server.change(json.loads(line))
        _answer(json.dumps(load.figures()))
    listener.close()


async def _lines(loop: asyncio.AbstractEventLoop) -> AsyncIterator[str]:
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        yield line


def main() -> None:
    """Serve with the options of the command line."""
    import uvloop

    wanted = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    picture = Path(wanted.pop("picture")).read_bytes()
    uvloop.run(serve(Load(**wanted), picture))


if __name__ == "__main__":
    main()
