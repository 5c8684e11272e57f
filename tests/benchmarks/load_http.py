"""The subset of HTTP/1.1 that AWS clients use with the load server."""

import asyncio
import json
from typing import Any, Protocol, cast


class Service(Protocol):
    """A handler of requests."""

    def serve(self, connection: "Connection", head: bytes, body: bytes) -> None:
        """Answer one request, at once or later."""
        ...

    def forget(self, connection: "Connection") -> None:
        """Forget a closed connection."""
        ...


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection, with one request at a time."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._buffer = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's class does not derive from it

    def connection_lost(self, exc: Exception | None) -> None:
        self._service.forget(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end])
            lower = head.lower()
            at = lower.find(b"content-length:")
            length = int(lower[at + 15 : (lower.find(b"\r\n", at) + 1 or len(lower) + 1) - 1]) if at >= 0 else 0
            if b"100-continue" in lower and len(self._buffer) == end + 4 and length:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            if len(self._buffer) < end + 4 + length:
                return
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            del self._buffer[: end + 4 + length]
            self._service.serve(self, head, body)

    def reply_json(self, content: Any) -> None:
        """Answer with JSON."""
        self.reply(json.dumps(content).encode())

    def reply(self, body: bytes, kind: bytes = b"application/x-amz-json-1.0", status: bytes = b"200 OK") -> None:
        """Answer with `body`. `kind` is the content type, which further header lines may follow."""
        if self._transport.is_closing():
            return
        head = b"HTTP/1.1 %b\r\nx-amzn-RequestId: r\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % (status, kind, len(body)) + body)
