"""The evaluation run: read every receipt of a truth once and score it."""

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from worker.errors import ReasonedError
from worker.receipts.checks import check, confidence, decide
from worker.receipts.receipt import Reading
from worker.workbench.evaluation.readers import Read
from worker.workbench.evaluation.scores import ReceiptScore, score
from worker.workbench.evaluation.truth import Truth


async def evaluate(
    truths: Sequence[Truth],
    images: Path,
    read: Read,
    *,
    threshold: float,
    at_once: int,
    today: dt.date,
    on_done: Callable[[], None] = lambda: None,
) -> tuple[ReceiptScore, ...]:
    """Return the scores of all truths, in their order. Read `images`/`file` for each, `at_once` concurrently.

    Raises `ReceiptsError` if the reader cannot read anything.
    """
    free = asyncio.Semaphore(at_once)

    async def one(truth: Truth) -> ReceiptScore:
        async with free:
            started = time.perf_counter()
            reading, error = await _try(read, images / truth.file)
            ms = round((time.perf_counter() - started) * 1000)
        on_done()
        return judge(truth, reading, error, ms=ms, threshold=threshold, today=today)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(truth), name=f"evaluate-{truth.file}") for truth in truths]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return tuple(task.result() for task in tasks)


async def _try(read: Read, path: Path) -> tuple[Reading | None, str | None]:
    try:
        return await read(await asyncio.to_thread(path.read_bytes)), None
    except (OSError, ReasonedError) as error:
        return None, f"{type(error).__name__}: {error}"


def judge(
    truth: Truth, reading: Reading | None, error: str | None, *, ms: int, threshold: float, today: dt.date
) -> ReceiptScore:
    """Return the score of a reading, with the status that a worker would record.

    Without a reading, every field counts as abstained.
    """
    fields, items = score(truth, reading)
    if reading is None:
        return ReceiptScore(truth.file, "failed", 0.0, fields, items, ms, error)
    findings = check(reading.receipt, today=today, left_out=reading.left_out)
    status = decide(reading, findings, threshold=threshold)
    return ReceiptScore(truth.file, status, round(confidence(reading, findings), 3), fields, items, ms)
