"""Statistics over records: counts by status, reason, check, model and day, and amounts spent."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from worker.receipts.currency import with_decimals
from worker.receipts.record import merchant_key
from worker.results.query import Results, Row
from worker.results.selection import Selection


@dataclass
class Sum:
    """The number and the total of some receipts in one currency."""

    name: str
    currency: str
    count: int = 0
    total: Decimal = Decimal(0)

    def as_json(self) -> dict[str, Any]:
        """Return the sum as JSON types."""
        total = format(with_decimals(self.total, self.currency), "f")
        return {"name": self.name, "currency": self.currency, "count": self.count, "total": total}


@dataclass
class Stats:
    """Counts and sums over records. Sums include only `extracted` records, because the others need a review first."""

    read: int = 0
    """Records that DynamoDB read."""
    complete: bool = True
    """False if a limit ended the count early."""
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    days: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Counts of statuses by day of upload (UTC)."""
    currencies: dict[str, Sum] = field(default_factory=dict)
    merchants: dict[tuple[str, str], Sum] = field(default_factory=dict)
    duplicates: int = 0

    def add(self, row: Row) -> None:
        """Count `row`."""
        self.statuses[row.status] += 1
        self.days[row.uploaded_at[:10]][row.status] += 1
        self.checks.update(check.name for check in row.checks)
        self.duplicates += row.possible_duplicate_of is not None
        if row.reason:
            self.reasons[row.reason] += 1
        if row.model:
            self.models[" ".join(filter(None, [row.model.endpoint, row.model.model_version]))] += 1
        if row.status == "extracted" and row.total is not None:
            currency, name = row.currency or "?", row.merchant.name or "?"
            _add(self.currencies.setdefault(currency, Sum(currency, currency)), row.total)
            key = (merchant_key(name) or "?", currency)
            _add(self.merchants.setdefault(key, Sum(name, currency)), row.total)

    def top_merchants(self, limit: int) -> list[Sum]:
        """Return up to `limit` merchants by amount spent. The currency with the most receipts comes first."""
        order = sorted(self.currencies.values(), key=lambda one: -one.count)
        rank = {one.currency: place for place, one in enumerate(order)}
        return sorted(self.merchants.values(), key=lambda one: (rank[one.currency], -one.total))[:limit]

    def as_json(self, *, merchants: int = 20) -> dict[str, Any]:
        """Return the statistics as JSON types, with up to `merchants` merchants."""
        return {
            "statuses": dict(self.statuses),
            "reasons": dict(self.reasons.most_common()),
            "checks": dict(self.checks.most_common()),
            "models": dict(self.models.most_common()),
            "days": {day: dict(self.days[day]) for day in sorted(self.days)},
            "currencies": [one.as_json() for one in sorted(self.currencies.values(), key=lambda one: -one.count)],
            "merchants": [one.as_json() for one in self.top_merchants(merchants)],
            "possible_duplicates": self.duplicates,
            "read": self.read,
            "complete": self.complete,
        }


def _add(to: Sum, amount: Decimal) -> None:
    to.count += 1
    to.total += amount


async def stats(results: Results, selection: Selection, *, most_read: int | None = None) -> Stats:
    """Return statistics of `selection` after reading about `most_read` records at most, in constant memory."""
    counted = Stats()

    def on_read(count: int) -> None:
        counted.read += count

    async for row in results.walk(selection, on_read=on_read):
        counted.add(row)
        if most_read is not None and counted.read > most_read:
            counted.complete = False
            break
    return counted
