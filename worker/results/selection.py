"""Selections of records, and the index that answers each selection.

No selection scans the table. An index answers the conditions on status, upload time, purchase date, merchant or
content. The remaining conditions filter the index's results, and a page reports how many records it read.
"""

import datetime as dt
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final

from worker.aws.resources import STATUS_SHARDS
from worker.errors import ReceiptsError
from worker.receipts.document import timestamp
from worker.receipts.record import STATUSES, merchant_key

OPEN_PAST: Final = dt.date(1990, 1, 1)
"""Start of a range that is open to the past. Earlier purchase dates are misread."""
EARLIEST: Final = dt.date(1900, 1, 1)
LATEST: Final = dt.date(2199, 12, 31)
"""Limits of purchase dates. Each month of a range is queried separately, and no receipt lies outside these dates."""


class BadQuery(ReceiptsError):
    """A selection or option that is not valid. The text says what to change."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A choice of records: every condition that is not None or empty must be met. Ranges include their ends."""

    statuses: tuple[str, ...] = ()
    merchant: str | None = None
    """The merchant's full name. Case, accents and punctuation do not matter."""
    merchant_like: str | None = None
    """Part of the merchant's name."""
    purchased_from: dt.date | None = None
    purchased_to: dt.date | None = None
    uploaded_from: dt.datetime | None = None
    uploaded_to: dt.datetime | None = None
    total_from: Decimal | None = None
    total_to: Decimal | None = None
    currency: str | None = None
    endpoint: str | None = None
    model_version: str | None = None
    reason: str | None = None
    content_sha256: str | None = None
    duplicates: bool | None = None
    """True for possible duplicates of another document, False for all others."""

    def __post_init__(self) -> None:
        """Raise `BadQuery` for an unknown status, an inverted range or conflicting conditions."""
        for status in self.statuses:
            if status not in STATUSES:
                raise BadQuery(f"unknown status {status!r}; use one of {', '.join(STATUSES)}")
        for name in ("purchased", "uploaded", "total"):
            low, high = getattr(self, f"{name}_from"), getattr(self, f"{name}_to")
            if low is not None and high is not None and low > high:
                raise BadQuery(f"{name}: the end of the range ({high}) is before its start ({low})")
        if self.merchant is not None and self.merchant_like is not None:
            raise BadQuery("give either the merchant's full name or a part of it, not both")
        for name in ("merchant", "merchant_like"):
            text = getattr(self, name)
            if text is not None and merchant_key(text) is None:
                raise BadQuery(f"merchant: {text!r} has no letter or digit to search for")

    @property
    def fingerprint(self) -> int:
        """A checksum that binds a cursor to this selection."""
        return zlib.crc32(repr([(one.name, getattr(self, one.name)) for one in fields(self)]).encode())


@dataclass(frozen=True)
class Condition:
    """One comparison as a DynamoDB expression, with `{0}` for the name and `{1}` for the value."""

    template: str
    attribute: str
    value: Any = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The query that answers a selection: the partitions of one index, and filters on their records."""

    index: str
    partition_key: str
    sort_key: str
    partitions: tuple[str, ...]
    """Newest first unless `merged`."""
    merged: bool
    """Whether the partitions share one time line, so that they must be read in parallel to list newest first."""
    low: str | None = None
    high: str | None = None
    filters: tuple[Condition, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the index alone answers the selection, so that every record read belongs to it."""
        return not self.filters


def plan(selection: Selection, *, today: dt.date) -> Plan:
    """Return the plan for `selection`. `today` bounds a range of purchase dates that is open to the future."""
    if selection.content_sha256 is not None:
        return _by_content(selection)
    if selection.merchant is not None:
        return _by_merchant(selection)
    if selection.purchased_from is not None or selection.purchased_to is not None:
        return _by_purchase_date(selection, today)
    return _by_status(selection)


def _by_content(selection: Selection) -> Plan:
    return Plan(
        index="by_content",
        partition_key="content_sha256",
        sort_key="uploaded_at",
        partitions=(str(selection.content_sha256),),
        merged=False,
        low=_moment(selection.uploaded_from),
        high=_moment(selection.uploaded_to),
        filters=tuple(_filters(selection, "content_sha256", "uploaded")),
    )


def _by_merchant(selection: Selection) -> Plan:
    return Plan(
        index="by_merchant",
        partition_key="merchant_key",
        sort_key="purchase_day",
        partitions=(str(merchant_key(selection.merchant)),),
        merged=False,
        low=_day(selection.purchased_from) or ("0" if selection.purchased_to else None),
        # "undated" sorts after every date, so a range without an end must stop before it.
        high=_day(selection.purchased_to) or ("9999-12-31" if selection.purchased_from else None),
        filters=tuple(_filters(selection, "merchant", "purchased")),
    )


def _by_purchase_date(selection: Selection, today: dt.date) -> Plan:
    first = max(selection.purchased_from or OPEN_PAST, EARLIEST)
    # A shop's clock may be ahead of ours, but not by more than a month.
    last = min(selection.purchased_to or max(first, today + dt.timedelta(days=31)), LATEST)
    return Plan(
        index="by_purchase_date",
        partition_key="purchase_month",
        sort_key="purchase_day",
        partitions=tuple(_months(first, last)),
        merged=False,
        low=first.isoformat(),
        high=last.isoformat(),
        filters=tuple(_filters(selection, "purchased")),
    )


def _by_status(selection: Selection) -> Plan:
    statuses = tuple(status for status in STATUSES if status in (selection.statuses or _possible(selection)))
    return Plan(
        index="by_status",
        partition_key="status_shard",
        sort_key="uploaded_at",
        partitions=tuple(f"{status}#{shard}" for status in statuses for shard in range(STATUS_SHARDS)),
        merged=True,
        low=_moment(selection.uploaded_from),
        high=_moment(selection.uploaded_to),
        filters=tuple(_filters(selection, "statuses", "uploaded")),
    )


def _possible(selection: Selection) -> tuple[str, ...]:
    """Return the statuses that a record of `selection` can have. Only some have a reason, and only some were read."""
    if selection.reason is not None:
        return ("needs_review", "rejected", "failed")
    read = (selection.merchant_like, selection.total_from, selection.total_to, selection.currency)
    if selection.duplicates or any(one is not None for one in read):
        return ("extracted", "needs_review")
    return STATUSES


def _filters(selection: Selection, *answered: str) -> Iterator[Condition]:
    """Yield the conditions of `selection` that its index does not answer. `answered` names those that it does."""
    wanted = selection
    if wanted.statuses and "statuses" not in answered:
        yield Condition("{0} IN {1}", "status", wanted.statuses)
    if wanted.merchant is not None and "merchant" not in answered:
        yield Condition("{0} = {1}", "merchant_key", merchant_key(wanted.merchant))
    if wanted.merchant_like is not None:
        yield Condition("contains({0}, {1})", "merchant_key", merchant_key(wanted.merchant_like))
    if "purchased" not in answered:
        yield from _range("purchase_date", _day(wanted.purchased_from), _day(wanted.purchased_to))
    if "uploaded" not in answered:
        yield from _range("uploaded_at", _moment(wanted.uploaded_from), _moment(wanted.uploaded_to))
    yield from _range("total", wanted.total_from, wanted.total_to)
    for attribute, value in (
        ("currency", wanted.currency),
        ("model.endpoint", wanted.endpoint),
        ("model.model_version", wanted.model_version),
        ("reason", wanted.reason),
    ):
        if value is not None:
            yield Condition("{0} = {1}", attribute, value)
    if wanted.duplicates is not None:
        yield Condition(f"attribute{'' if wanted.duplicates else '_not'}_exists({{0}})", "possible_duplicate_of")


def _range(attribute: str, low: Any, high: Any) -> Iterator[Condition]:
    if low is not None:
        yield Condition("{0} >= {1}", attribute, low)
    if high is not None:
        yield Condition("{0} <= {1}", attribute, high)


def _months(first: dt.date, last: dt.date) -> Iterator[str]:
    """Yield the months from `last` back to `first`, each as "2026-11"."""
    for number in range(last.year * 12 + last.month - 1, first.year * 12 + first.month - 2, -1):
        yield f"{number // 12:04}-{number % 12 + 1:02}"


def _day(day: dt.date | None) -> str | None:
    return None if day is None else day.isoformat()


def _moment(moment: dt.datetime | None) -> str | None:
    try:
        return None if moment is None else timestamp(moment)
    except OverflowError as error:
        raise BadQuery(f"the time {moment} does not exist in UTC; use another time") from error
