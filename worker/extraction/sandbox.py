"""The sandbox: PDFs and very large pictures are prepared in a separate process that can be killed.

Two kilobytes of nested forms keep PDFium busy for years, and one megabyte unpacks to two gigabytes. A thread can
neither be stopped nor made to release memory. Other pictures are bounded by their headers. A picture that could exhaust
the memory of a small task is decoded here too, so that it cannot kill the worker.
"""

import base64
import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from typing import Final

from worker.errors import Failed, Rejected
from worker.extraction.headers import decoding_bytes
from worker.extraction.media import PDF, sniff
from worker.extraction.pages import ImageLimits, Page, Prepared
from worker.extraction.prepare import prepare as prepare_here

DRAW_S: Final = 60.0
"""Seconds that preparing one upload may take, all pages together."""
PDF_BYTES: Final = 256 * 1024 * 1024
"""Memory in bytes that drawing a PDF may take. The memory of a picture is known from its header."""
APART_BYTES: Final = 192 * 1024 * 1024
"""Pictures that take more memory are decoded in the sandbox. A photograph of 24 megapixels takes less, even as HEIC."""
_UPLOAD_SIGNALS: Final = {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP, signal.SIGILL, signal.SIGFPE}
"""Signals that the upload causes, each time it is tried. PDFium aborts if it cannot get more memory."""


class Sandbox:
    """Prepares uploads, the risky ones in separate processes."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()

    def prepare(self, data: bytes, limits: ImageLimits) -> Prepared:
        """Return the pages to send for the upload `data`. Raises `Rejected` if it cannot be sent.

        Raises `Failed` if the process was killed, and `MemoryError` or `OSError` if the machine lacks a resource.
        """
        if sniff(data) != PDF and not APART_BYTES < decoding_bytes(data) <= limits.max_decoded_bytes:
            return prepare_here(data, limits)
        with subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", __name__, json.dumps(dataclasses.asdict(limits))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child:
            self._running.add(child)
            try:
                output, _ = child.communicate(data, timeout=DRAW_S)
            except subprocess.TimeoutExpired:
                raise Rejected("corrupt", f"decoding takes longer than {DRAW_S:g} seconds") from None
            finally:
                child.kill()
                self._running.discard(child)
        if -child.returncode in _UPLOAD_SIGNALS:
            raise _too_much()
        if child.returncode:
            raise Failed("decoder_died", f"the sandbox ended with exit code {child.returncode}")
        return _read(json.loads(output))

    def end(self) -> None:
        """Kill every running process, so that a stop does not wait for it."""
        for child in list(self._running):
            child.kill()


def prepare(data: bytes, limits: ImageLimits) -> Prepared:
    """Prepare one upload in a sandbox of its own; see `Sandbox.prepare`."""
    return Sandbox().prepare(data, limits)


def _too_much() -> Rejected:
    return Rejected("corrupt", "decoding crashes or takes too much memory")


def _read(answer: dict[str, list[str]] | dict[str, object]) -> Prepared:
    match answer:
        case {"rejected": [str(reason), str(detail)]}:
            raise Rejected(reason, detail)
        case {"out_of_memory": _}:
            raise MemoryError("the sandbox is out of memory")
        case {"pages": list(pages), "media_type": str(kind), "page_count": int(count), "whole": bool(whole)}:
            made = tuple(Page(base64.b64decode(text), *told) for text, *told in pages)
            return Prepared(pages=made, media_type=kind, page_count=count, whole=whole)
        case _:
            raise Failed("decoder_died", "the sandbox gave no answer")


def _exit_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _prepared(data: bytes, limits: ImageLimits, *, memory_is_limited: bool) -> Prepared:
    """Prepare the upload; if it exceeds our own memory limit, that is the fault of the upload."""
    try:
        return prepare_here(data, limits)
    except MemoryError as error:
        if memory_is_limited:
            raise _too_much() from error
        raise


def _limit(kind: int, most: int) -> bool:
    """Set the soft limit to `most`; return False if the machine's own limit is lower and stays."""
    soft, hard = resource.getrlimit(kind)
    if soft != resource.RLIM_INFINITY and soft <= most:
        return False
    resource.setrlimit(kind, (most, hard))
    return True


def main() -> None:
    """Prepare the upload on standard input. The process ends when its parent does."""
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()
    limits = ImageLimits(**json.loads(sys.argv[1]))
    data = sys.stdin.buffer.read()
    _limit(resource.RLIMIT_CORE, 0)
    limited = sniff(data) == PDF and _limit(resource.RLIMIT_DATA, PDF_BYTES + 2 * len(data))
    try:
        made = _prepared(data, limits, memory_is_limited=limited)
    except MemoryError:
        json.dump({"out_of_memory": True}, sys.stdout)
        return
    except Rejected as error:
        json.dump({"rejected": [error.reason, error.detail]}, sys.stdout)
        return
    pages = [[base64.b64encode(p.data).decode(), p.media_type, p.width, p.height] for p in made.pages]
    told = {"media_type": made.media_type, "page_count": made.page_count, "whole": made.whole}
    json.dump(told | {"pages": pages}, sys.stdout)


if __name__ == "__main__":
    main()
