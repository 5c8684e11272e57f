"""Queries use the index that answers them: complete, ordered, and without reading the whole table."""

import datetime as dt
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.component.emulators import Aws
from tests.component.records import START, put, receipt, record
from worker.receipts.document import timestamp
from worker.receipts.receipt import Merchant
from worker.receipts.record import Record
from worker.results.attributes import to_attributes
from worker.results.paging import PARTITIONS_PER_PAGE, READS_PER_ROW
from worker.results.query import Page, Results, Row
from worker.results.selection import BadQuery, Selection

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
MERCHANTS = ("Café Müller", "ALDI", "<script>", "東京ストア")


def sample(count: int, *, same_moment: bool = False) -> list[Record]:
    """Return records of every status, merchant and day. With `same_moment`, many share one upload time."""
    chance = random.Random(5)
    made = []
    for number in range(count):
        status = chance.choices(["extracted", "needs_review", "rejected", "failed"], [80, 10, 6, 4])[0]
        said = receipt(number, merchant=Merchant(name=chance.choice(MERCHANTS)))
        if chance.random() < 0.05:
            said = said.model_copy(update={"purchase_date": None})
        changes = {"uploaded_at": timestamp(START + dt.timedelta(seconds=number // 20))} if same_moment else {}
        made.append(
            record(number, said=said if status in ("extracted", "needs_review") else None, status=status, **changes)
        )
    return made


async def pages(results: Results, selection: Selection, *, limit: int, thorough: bool = False) -> list[Page]:
    """Return all pages of a selection, and check that the list ends."""
    got = [await results.page(selection, limit=limit, thorough=thorough)]
    while got[-1].cursor:
        got.append(await results.page(selection, limit=limit, cursor=got[-1].cursor, thorough=thorough))
        assert len(got) < 1_000, "the list does not end"
    return got


def documents(got: list[Page]) -> list[str]:
    return [row.document for page in got for row in page.rows]


@pytest.mark.parametrize("same_moment", [False, True], ids=["spread", "same moment"])
@pytest.mark.parametrize("limit", [3, 50])
async def test_pages_give_every_record_once_and_newest_first(aws: Aws, limit: int, same_moment: bool) -> None:
    """For any page size and any number of equal upload times, no row is missing, repeated or out of order."""
    made = sample(40 + limit, same_moment=same_moment)
    await put(aws, made)
    got = await pages(Results(aws.clients.dynamodb, aws.resources.table), Selection(), limit=limit)
    times = [row.uploaded_at for page in got for row in page.rows]
    assert sorted(documents(got)) == sorted(one.document for one in made)
    assert times == sorted(times, reverse=True)


CASES: dict[str, tuple[Selection, Callable[[Record], bool], str]] = {
    "status": (Selection(statuses=("failed",)), lambda one: one.status == "failed", "by_status"),
    "upload": (
        Selection(uploaded_from=START + dt.timedelta(seconds=50), uploaded_to=START + dt.timedelta(seconds=99)),
        lambda one: (
            timestamp(START + dt.timedelta(seconds=50))
            <= one.uploaded_at
            <= timestamp(START + dt.timedelta(seconds=99))
        ),
        "by_status",
    ),
    "merchant": (
        Selection(merchant="CAFE MULLER"),
        lambda one: one.receipt is not None and one.receipt.merchant.name == "Café Müller",
        "by_merchant",
    ),
    "merchant and days": (
        Selection(merchant="aldi", purchased_from=dt.date(2026, 10, 10)),
        lambda one: (
            one.receipt is not None
            and one.receipt.merchant.name == "ALDI"
            and one.receipt.purchase_date is not None
            and one.receipt.purchase_date >= dt.date(2026, 10, 10)
        ),
        "by_merchant",
    ),
    "days": (
        Selection(purchased_from=dt.date(2026, 10, 20), purchased_to=dt.date(2026, 11, 3)),
        lambda one: (
            one.receipt is not None
            and one.receipt.purchase_date is not None
            and dt.date(2026, 10, 20) <= one.receipt.purchase_date <= dt.date(2026, 11, 3)
        ),
        "by_purchase_date",
    ),
    "content": (
        Selection(content_sha256=record(3).content_sha256),
        lambda one: one.content_sha256 == record(3).content_sha256,
        "by_content",
    ),
    "amount": (
        Selection(total_from=Decimal(20), total_to=Decimal(60), currency="EUR"),
        lambda one: one.receipt is not None and 20 <= (one.receipt.total or 0) <= 60,
        "by_status",
    ),
    "part of a name, days, status": (
        Selection(merchant_like="mül", purchased_from=dt.date(2026, 10, 5), statuses=("needs_review",)),
        lambda one: (
            one.status == "needs_review"
            and one.receipt is not None
            and one.receipt.merchant.name == "Café Müller"
            and one.receipt.purchase_date is not None
            and one.receipt.purchase_date >= dt.date(2026, 10, 5)
        ),
        "by_purchase_date",
    ),
    "model": (Selection(endpoint="embedded", model_version="2"), lambda _: False, "by_status"),
    "reason": (Selection(reason="too_large"), lambda one: one.reason == "too_large", "by_status"),
    "no duplicates": (Selection(duplicates=True), lambda _: False, "by_status"),
}


@pytest.mark.parametrize("case", CASES)
async def test_every_filter_returns_the_matching_records(aws: Aws, case: str) -> None:
    """Pages, thorough pages and a walk of one selection all return exactly the matching records."""
    made = sample(60)
    await put(aws, made)
    selection, fits, index = CASES[case]
    results = Results(aws.clients.dynamodb, aws.resources.table, clock=lambda: NOW)
    wanted = sorted(one.document for one in made if fits(one))
    got = await pages(results, selection, limit=10)
    assert sorted(documents(got)) == wanted
    assert {page.index for page in got} == {index}
    assert sorted(documents(await pages(results, selection, limit=10, thorough=True))) == wanted
    reads: list[int] = []
    walked: list[Row] = [row async for row in results.walk(selection, on_read=reads.append)]
    assert sorted(row.document for row in walked) == wanted
    assert sum(reads) >= len(wanted)


@pytest.mark.not_on("moto", "counts")
async def test_a_page_that_an_index_answers_reads_little(aws: Aws) -> None:
    """If an index answers, every page reads fewer than ten records per row shown."""
    await put(aws, sample(160))
    results = Results(aws.clients.dynamodb, aws.resources.table, clock=lambda: NOW)
    for selection in (
        Selection(),
        Selection(statuses=("extracted",)),
        Selection(merchant="ALDI"),
        Selection(purchased_from=dt.date(2026, 10, 1)),
    ):
        for page in await pages(results, selection, limit=40):
            assert page.read < READS_PER_ROW * max(1, len(page.rows))


@pytest.mark.not_on("moto", "counts")
async def test_a_page_that_must_filter_reads_no_more_than_its_share(aws: Aws) -> None:
    """If few records pass a filter, the page ends early with a cursor, within its read budget."""
    await put(aws, sample(160))
    page = await Results(aws.clients.dynamodb, aws.resources.table).page(
        Selection(total_from=Decimal(10_000)), limit=10
    )
    assert page.rows == ()
    assert page.cursor
    assert 0 < page.read <= READS_PER_ROW * 10


async def test_a_page_of_a_very_wide_range_makes_few_calls(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of a very wide range makes a few dozen calls, and all pages together contain every record once."""
    made = sample(30)
    await put(aws, made)
    asked, query = 0, aws.clients.dynamodb.query

    async def counted(**question: Any) -> Any:
        nonlocal asked
        asked += 1
        return await query(**question)

    monkeypatch.setattr(aws.clients.dynamodb, "query", counted)
    results = Results(aws.clients.dynamodb, aws.resources.table)
    always = Selection(purchased_from=dt.date.min, purchased_to=dt.date.max)
    await results.page(always, limit=50)
    assert asked <= PARTITIONS_PER_PAGE
    got = await pages(results, always, limit=50)
    dated = [one.document for one in made if one.receipt and one.receipt.purchase_date]
    assert sorted(documents(got)) == sorted(dated)


async def test_rows_of_contents_are_not_records(aws: Aws) -> None:
    """Rows that are not records are never listed or found by key."""
    row = {"document": "sha256:" + "0" * 64, "receipt": {"total": "1.00"}}
    await aws.clients.dynamodb.put_item(TableName=aws.resources.table, Item=to_attributes(row))
    results = Results(aws.clients.dynamodb, aws.resources.table)
    assert documents(await pages(results, Selection(), limit=10)) == []
    assert await results.get(str(row["document"])) is None
    assert await results.get_many([str(row["document"])]) == {}


async def test_a_record_comes_back_as_it_was_written(aws: Aws) -> None:
    """Reading one or many records returns them as stored, and leaves out missing ones."""
    made = sample(110)
    await put(aws, made)
    results = Results(aws.clients.dynamodb, aws.resources.table)
    assert await results.get(made[0].document) == made[0]
    assert await results.get("receipts/nothing.jpg") is None
    found = await results.get_many([*(one.document for one in made), "receipts/nothing.jpg"])
    assert found == {one.document: one for one in made}


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "W10", "WzEsMiwzXQ", "bnVsbA", "é", "=" * 9, "e" * 5_000],
)
async def test_a_damaged_cursor_is_refused(aws: Aws, cursor: str) -> None:
    """An invalid cursor gives `BadQuery`, never an error of the table."""
    results = Results(aws.clients.dynamodb, aws.resources.table)
    if cursor == "":
        assert (await results.page(Selection(), limit=5, cursor=cursor)).rows == ()
        return
    with pytest.raises(BadQuery, match="cursor"):
        await results.page(Selection(), limit=5, cursor=cursor)


async def test_a_cursor_belongs_to_its_filters(aws: Aws) -> None:
    """A cursor is refused together with other filters."""
    await put(aws, sample(60))
    results = Results(aws.clients.dynamodb, aws.resources.table)
    page = await results.page(Selection(), limit=5)
    with pytest.raises(BadQuery, match="other filters"):
        await results.page(Selection(currency="EUR"), limit=5, cursor=page.cursor)
