"""Preparation where it can be ended: PDFs and very large pictures have a process of their own.

Two kilobytes of nested forms keep PDFium busy for years, one megabyte unpacks to two gigabytes, and nothing stops a
thread or takes its memory away. All other kinds are bounded by what their headers say; what needs so much memory that
a small task may run out of it must not end the worker.
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
from worker.extraction.media import PDF, sniff
from worker.extraction.prepare import ImageLimits, Page, Prepared, decoding_bytes
from worker.extraction.prepare import prepare as prepare_here

DRAW_S: Final = 60.0
"""Time that all pages of one upload may take, seconds."""
PDF_BYTES: Final = 256 * 1024 * 1024
"""Memory that drawing a PDF may take; what a picture takes is known by its header."""
APART_BYTES: Final = 192 * 1024 * 1024
"""What takes more memory is decoded apart; a photograph of 24 megapixels takes less, in HEIC too."""
_OWN_SIGNALS: Final = {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP, signal.SIGILL, signal.SIGFPE}
"""What an upload brings on the process, the same each time; PDFium aborts where it gets no more memory."""
_drawing: Final[set["subprocess.Popen[bytes]"]] = set()


def prepare(data: bytes, limits: ImageLimits) -> Prepared:
    """Return the pictures to send for the upload `data`, or raise `Rejected` with what is wrong with it.

    Raises `Failed` where the process of its own died, which may be this machine's fault.
    """
    if sniff(data) != PDF and not APART_BYTES < decoding_bytes(data) <= limits.max_decoded_bytes:
        return prepare_here(data, limits)
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", __name__, json.dumps(dataclasses.asdict(limits))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as child:
        _drawing.add(child)
        try:
            output, _ = child.communicate(data, timeout=DRAW_S)
        except subprocess.TimeoutExpired:
            raise Rejected("corrupt", f"the pages could not be drawn in {DRAW_S:g} seconds") from None
        finally:
            child.kill()
            _drawing.discard(child)
    if -child.returncode in _OWN_SIGNALS:
        raise _too_much()
    if child.returncode:
        raise Failed("decoder_died", f"the process that decodes it ended with {child.returncode}")
    return _read(json.loads(output))


def end() -> None:
    """End every drawing under way, so that a stop waits for none."""
    for child in list(_drawing):
        child.kill()


def _too_much() -> Rejected:
    return Rejected("corrupt", "it breaks what decodes it, or takes too much memory")


def _read(answer: dict[str, list[str]] | dict[str, object]) -> Prepared:
    match answer:
        case {"rejected": [str(reason), str(detail)]}:
            raise Rejected(reason, detail)
        case {"pages": list(pages), "media_type": str(kind), "page_count": int(count), "whole": bool(whole)}:
            made = tuple(Page(base64.b64decode(text), *told) for text, *told in pages)
            return Prepared(pages=made, media_type=kind, page_count=count, whole=whole)
        case _:
            raise Failed("decoder_died", "the process that decodes it gave no answer")


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _drawn(data: bytes, limits: ImageLimits) -> Prepared:
    try:
        return prepare_here(data, limits)
    except MemoryError as error:
        raise _too_much() from error


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def main() -> None:
    """Prepare the upload on standard input, and end with the parent."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    limits = ImageLimits(**json.loads(sys.argv[1]))
    data = sys.stdin.buffer.read()
    _limit(resource.RLIMIT_CORE, 0)
    if sniff(data) == PDF:
        _limit(resource.RLIMIT_DATA, PDF_BYTES + 2 * len(data))
    try:
        made = _drawn(data, limits)
    except Rejected as error:
        json.dump({"rejected": [error.reason, error.detail]}, sys.stdout)
        return
    pages = [[base64.b64encode(p.data).decode(), p.media_type, p.width, p.height] for p in made.pages]
    told = {"media_type": made.media_type, "page_count": made.page_count, "whole": made.whole}
    json.dump(told | {"pages": pages}, sys.stdout)


if __name__ == "__main__":
    main()
