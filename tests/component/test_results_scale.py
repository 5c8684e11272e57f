"""With many records, lists read few records and an export uses little memory."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.component.emulators import Aws
from tests.component.records import put, record
from worker.results.paging import READS_PER_ROW
from worker.results.query import Results
from worker.results.selection import Selection

RECORDS = int(os.environ.get("RECEIPTS_TEST_RECORDS", "2000"))
"""Verified with 100,000. `make check` uses fewer."""
LESS = 1_000
EXPORT = """
import contextlib, pathlib, sys
from worker.commands.root import main
sys.argv[1:] = ["export", "-o", sys.argv[1]]
with contextlib.suppress(SystemExit):
    main()
status = pathlib.Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""


async def exported(aws: Aws, path: Path) -> tuple[int, int]:
    """Export the whole table in a separate process; return the lines written and its peak memory in MiB.

    Not by getrusage: that begins with the memory of the process that started it.
    """
    environment = {**os.environ, "RECEIPTS_TABLE": aws.resources.table, "COVERAGE_PROCESS_START": ""}
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", EXPORT, str(path)), env=environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await run.communicate()
    assert run.returncode == 0
    with path.open() as file:
        return sum(1 for _ in file), int(out.split()[-1])


@pytest.mark.timeout(3_000)
@pytest.mark.not_on("moto", "counts")
async def test_many_records_are_listed_and_exported_a_little_at_a_time(aws: Aws, tmp_path: Path) -> None:
    """Every page reads fewer than ten records per row shown, and memory does not grow with the table."""
    statuses = ["extracted"] * 17 + ["needs_review", "rejected", "failed"]
    await put(aws, [record(number, status=statuses[number % 20]) for number in range(LESS)])
    lines, small = await exported(aws, tmp_path / "small.jsonl")
    assert lines == LESS
    for start in range(LESS, RECORDS, 5_000):
        numbers = range(start, min(start + 5_000, RECORDS))
        await put(aws, [record(number, status=statuses[number % 20]) for number in numbers])
    lines, large = await exported(aws, tmp_path / "large.jsonl")
    assert lines == RECORDS
    assert large < small + 30, (small, large)
    results = Results(aws.clients.dynamodb, aws.resources.table)
    for selection in (
        Selection(),
        Selection(statuses=("needs_review",)),
        Selection(merchant="Café Müller"),
        Selection(purchased_from=record(0).receipt.purchase_date),  # type: ignore[union-attr]  # it has one
    ):
        cursor, pages = None, 0
        while pages == 0 or (cursor and pages < 8):
            page = await results.page(selection, limit=50, cursor=cursor)
            assert page.read < READS_PER_ROW * max(1, len(page.rows)), (selection, page.read, len(page.rows))
            cursor, pages = page.cursor, pages + 1
