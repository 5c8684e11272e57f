"""Statistics, duplicates, differences and exports over a real table."""

import asyncio
import csv
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.component.emulators import Aws
from tests.component.records import put, receipt, record
from worker.commands.root import load
from worker.receipts.receipt import Merchant
from worker.results.duplicates import Duplicates
from worker.results.export import chosen_records, every_record
from worker.results.query import Results
from worker.results.selection import Selection
from worker.results.stats import stats


async def receipts(aws: Aws, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    """Run the command and return its exit code, stdout and stderr."""
    monkeypatch.setenv("RECEIPTS_QUEUE_URL", aws.resources.queue_url)
    monkeypatch.setenv("RECEIPTS_TABLE", aws.resources.table)
    monkeypatch.setenv("RECEIPTS_BUCKET", aws.resources.bucket)
    command = load(arguments[0])
    result = await asyncio.to_thread(CliRunner().invoke, command, list(arguments[1:]))
    return result.exit_code, result.stdout, result.stderr + (str(result.exception) if result.exception else "")


async def test_statistics_count_and_sum(aws: Aws) -> None:
    """Statuses, days, reasons and merchants are counted; sums are exact and include only extracted records."""
    await put(
        aws,
        [
            *(record(number, said=receipt(number, total=Decimal("0.10"))) for number in range(30)),
            record(40, status="needs_review", said=receipt(40, total=Decimal(100))),
            record(41, status="rejected"),
            record(42, said=receipt(42, merchant=Merchant(name="ALDI"), currency="USD", total=Decimal("5.25"))),
        ],
    )
    counted = await stats(Results(aws.clients.dynamodb, aws.resources.table), Selection())
    assert counted.statuses == {"extracted": 31, "needs_review": 1, "rejected": 1}
    assert counted.reasons == {"too_large": 1}
    assert {one.currency: one.total for one in counted.currencies.values()} == {
        "EUR": Decimal("3.00"),
        "USD": Decimal("5.25"),
    }
    assert [(one.name, one.count) for one in counted.top_merchants(5)] == [("Café Müller", 30), ("ALDI", 1)]
    assert counted.read == 33
    assert counted.complete
    short = await stats(Results(aws.clients.dynamodb, aws.resources.table), Selection(), most_read=3)
    assert not short.complete


async def test_a_second_picture_of_a_purchase_is_found_by_one_query(aws: Aws) -> None:
    """Another picture of the same purchase, or the same bytes without fields, is marked as a duplicate of the first."""
    duplicates = Duplicates(aws.clients.dynamodb, aws.resources.table)
    bare = receipt(1, merchant=Merchant(), purchase_date=None)
    await put(aws, [record(1), record(2), record(3, said=bare)])
    assert await duplicates.lookup(record(8, said=receipt(1))) == record(1).document
    assert await duplicates.lookup(record(9, said=bare, content_sha256=record(3).content_sha256)) == record(3).document
    assert await duplicates.lookup(record(7)) is None
    assert await duplicates.lookup(record(1, status="failed")) is None


async def test_every_record_is_exported_once_and_nothing_else(aws: Aws) -> None:
    """A scan yields all records and a selection those that match, without other kinds of rows."""
    made = [record(number) for number in range(120)]
    await put(aws, [*made, record(200, status="failed")])
    row: Any = {"document": {"S": "replay:one"}, "sent": {"N": "0"}}
    await aws.clients.dynamodb.put_item(TableName=aws.resources.table, Item=row)
    every = [one async for one in every_record(aws.clients.dynamodb, aws.resources.table)]
    assert sorted(one.document for one in every) == sorted(one.document for one in (*made, record(200)))
    results = Results(aws.clients.dynamodb, aws.resources.table)
    chosen = [one async for one in chosen_records(results, Selection(statuses=("extracted",)))]
    assert sorted(chosen, key=lambda one: one.document) == made


@pytest.mark.not_on("moto", "counts")
async def test_the_commands_print_the_records_of_the_table(
    aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """list, show, stats, export and diff work, and no text of a receipt controls the terminal."""
    hostile = "\x1b]0;owned\x07\x9b2J=HYPERLINK(1)[red]\u202e"
    before = receipt(1, total=Decimal("1.50"))
    history = ({"revision": 1, "stored_at": "2026-11-01T08:00:00.000Z", "receipt": before.model_dump(mode="json")},)
    await put(aws, [record(1, said=receipt(1, merchant=Merchant(name=hostile)), history=history), record(2)])
    out = tmp_path / "out.csv"
    for arguments in (
        ["list"], ["list", "--json"], ["show", record(1).document], ["show", record(1).document, "--json"],
        ["stats", "--all"], ["stats", "--all", "--json"], ["export", "-o", str(out)], ["export", "-f", "jsonl"],
        ["diff"], ["diff", "--json"], ["replay", record(1).document],
    ):  # fmt: skip
        code, printed, errors = await receipts(aws, monkeypatch, *arguments)
        assert code == 0, (arguments, errors)
        assert not {"\x1b", "\x9b", "\x07", "\u202e"} & set(printed + errors), arguments
        if "--json" in arguments:
            json.loads(printed)
    with out.open(newline="") as file:
        assert {row["merchant_name"][:2] for row in csv.DictReader(file)} == {"]0", "Ca"}
    code, printed, errors = await receipts(aws, monkeypatch, "show", "nothing.jpg")
    assert (code, printed) == (1, "")
    assert "no record found" in errors


async def test_a_day_is_the_last_of_its_month_too(aws: Aws) -> None:
    """A range that ends on the last day of a month includes that day."""
    await put(aws, [record(1, said=receipt(1, purchase_date=dt.date(2026, 10, 31)))])
    results = Results(aws.clients.dynamodb, aws.resources.table)
    selection = Selection(purchased_from=dt.date(2026, 10, 31), purchased_to=dt.date(2026, 10, 31))
    assert len((await results.page(selection, limit=5)).rows) == 1


async def test_a_replay_takes_keys_as_people_name_them(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key, bucket/key and an s3:// link name the same upload; a missing upload is named in the error."""
    bucket = aws.resources.bucket
    await put(aws, [record(1, bucket=bucket)])
    names = ("in/000001.jpg", f"{bucket}/in/000001.jpg", f"s3://{bucket}/in/000001.jpg")
    code, out, _ = await receipts(aws, monkeypatch, "replay", *names, "--json")
    assert (code, json.loads(out)["uploads"]) == (0, 1)
    code, _, err = await receipts(aws, monkeypatch, "replay", "in/000002.jpg")
    assert code == 2
    assert f"{bucket}/in/000002.jpg" in err.replace("\n", "")
