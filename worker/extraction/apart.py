"""Preparation where it can be ended: PDFs are drawn in a process of their own.

Two kilobytes of nested forms keep PDFium busy for years, one megabyte unpacks to two gigabytes, and nothing stops a
thread or takes its memory away. Pictures of all other kinds are bounded by what their headers say, and are prepared
where they are.
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
from worker.extraction.prepare import ImageLimits, Page, Prepared
from worker.extraction.prepare import prepare as prepare_here

DRAW_S: Final = 60.0
"""Time that all pages of one PDF may take, seconds."""
_OWN_SIGNALS: Final = {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP, signal.SIGILL, signal.SIGFPE}
"""What a PDF brings on the process that draws it, the same each time; PDFium aborts where it gets no more memory."""
_drawing: Final[set["subprocess.Popen[bytes]"]] = set()


def prepare(data: bytes, limits: ImageLimits) -> Prepared:
    """Return the pictures to send for the upload `data`, or raise `Rejected` with what is wrong with it.

    Raises `Failed` where the process that draws a PDF died, which may be this machine's fault.
    """
    if sniff(data) != PDF:
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
            raise Rejected("corrupt", f"the PDF could not be drawn in {DRAW_S:g} seconds") from None
        finally:
            child.kill()
            _drawing.discard(child)
    if -child.returncode in _OWN_SIGNALS:
        raise _too_much(limits)
    if child.returncode:
        raise Failed("decoder_died", f"the process that draws PDFs ended with {child.returncode}")
    return _read(json.loads(output))


def end() -> None:
    """End every drawing under way, so that a stop waits for none."""
    for child in list(_drawing):
        child.kill()


def _too_much(limits: ImageLimits) -> Rejected:
    most_mib = limits.max_decoded_bytes >> 20
    return Rejected("corrupt", f"the PDF breaks what draws it, or takes more than {most_mib} MiB to be drawn")


def _read(answer: dict[str, list[str]] | dict[str, object]) -> Prepared:
    match answer:
        case {"rejected": [str(reason), str(detail)]}:
            raise Rejected(reason, detail)
        case {"pages": list(pages), "media_type": str(media_type), "page_count": int(count)}:
            made = tuple(Page(base64.b64decode(text), kind, width, height) for text, kind, width, height in pages)
            return Prepared(pages=made, media_type=media_type, page_count=count)
        case _:
            raise Failed("decoder_died", "the process that draws PDFs gave no answer")


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _drawn(data: bytes, limits: ImageLimits) -> Prepared:
    try:
        return prepare_here(data, limits)
    except MemoryError as error:
        raise _too_much(limits) from error


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def main() -> None:
    """Draw the PDF on standard input, and end with the parent."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    limits = ImageLimits(**json.loads(sys.argv[1]))
    data = sys.stdin.buffer.read()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_DATA, limits.max_decoded_bytes + 2 * len(data))
    try:
        made = _drawn(data, limits)
    except Rejected as error:
        json.dump({"rejected": [error.reason, error.detail]}, sys.stdout)
        return
    pages = [[base64.b64encode(p.data).decode(), p.media_type, p.width, p.height] for p in made.pages]
    json.dump({"pages": pages, "media_type": made.media_type, "page_count": made.page_count}, sys.stdout)


if __name__ == "__main__":
    main()
