"""Payment: the method of payment and the last four digits of the card."""

import re
from collections.abc import Sequence
from typing import Final

from worker.reader.entries import Entry
from worker.reader.labels import Kind
from worker.reader.words import fold
from worker.receipts.receipt import Payment

_BRANDS: Final = (
    ("visa", r"\bvisa\b"),
    ("mastercard", r"\bmaster\s?card\b|\bmaster\b"),
    ("american express", r"\bamex\b|\bamerican express\b"),
    ("girocard", r"\bgirocard\b|\bec[- ]?(karte|cash)\b"),
    ("maestro", r"\bmaestro\b"),
    ("discover", r"\bdiscover\b"),
    ("gift card", r"\bgift card\b"),
    ("debit card", r"\bdebit\b|\beftpos\b|\bbankcard\b"),
    ("credit card", r"\bcredit\b|\bcr card\b|\bkreditkarte\b"),
    ("upi", r"\bupi\b|\bpaytm\b|\bphonepe\b"),
    ("pix", r"\bpix\b"),
    ("alipay", r"\balipay\b"),
    ("wechat pay", r"\bwechat\b"),
    ("apple pay", r"\bapple pay\b"),
    ("google pay", r"\b(google pay|gpay)\b"),
    ("paypal", r"\bpaypal\b"),
    ("qris", r"\bqris\b"),
    ("twint", r"\btwint\b"),
    ("ideal", r"\bideal\b"),
    ("bancontact", r"\bbancontact\b"),
    ("dankort", r"\bdankort\b"),
    ("pin", r"^pin\b"),
    ("nets", r"\bnets\b"),
    (
        "card",
        r"\bcard\b|\bcb\b|\bkarta\b|\bkartenzahlung\b|\bcarte\b|\btarjeta\b|\bcarta\b|\bcartao\b|\bkort\b|\bkarte\b",
    ),
)
_MASKED: Final = re.compile(r"(?:[x*#•\uff03]\s?){4,}\s?-?\s?(\d{4})(?!\d)", re.IGNORECASE)
_ENDING: Final = re.compile(r"\b(?:ending(?: in)?|last 4|card\s?#|acct\s?#?)\W{0,3}(\d{4})\b", re.IGNORECASE)


def payment(texts: Sequence[str], entries: Sequence[Entry]) -> Payment:
    """Return the method by the rows with a paid amount, else by a card slip, and the digits by a masked number."""
    digits = next(
        (match[1] for text in texts for pattern in (_MASKED, _ENDING) if (match := pattern.search(text))), None
    )
    total = min((entry.amount.row for entry in entries if entry.kind is Kind.TOTAL and entry.own), default=0)
    paid = [
        entry
        for entry in entries
        if entry.kind in {Kind.CASH, Kind.CARD} and entry.value and not entry.summary and entry.amount.row >= total
    ]
    cash = any(entry.kind is Kind.CASH for entry in paid)
    change = any(entry.kind is Kind.CHANGE and entry.value for entry in entries)
    if digits or (paid and not (cash and change)):
        brand = _brand([texts[entry.amount.row] for entry in paid if entry.kind is Kind.CARD]) or _brand(texts)
        if brand and (digits or any(entry.kind is Kind.CARD for entry in paid)):
            return Payment(method=brand, card_last_four=digits)
    if cash:
        return Payment(method="cash")
    return Payment(card_last_four=digits)


def _brand(texts: Sequence[str]) -> str | None:
    folded = [fold(text) for text in texts]
    return next((name for name, pattern in _BRANDS if any(re.search(pattern, text) for text in folded)), None)
