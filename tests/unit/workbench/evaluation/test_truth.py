"""The truth that a model is judged by."""

import datetime as dt
from decimal import Decimal

from worker.workbench.evaluation.truth import of_samples
from worker.workbench.local.samples import FILES


def test_the_samples_have_a_truth() -> None:
    """`receipts evaluate` without a file judges each sample by its main fields, taxes and items."""
    truths = {one.file: one for one in of_samples()}
    assert len(truths) == 13
    assert all((FILES / file).is_file() for file in truths)
    diner = truths["us-diner-tip.jpg"]
    assert diner.fields == {
        "merchant": "Blue Heron Diner",
        "date": dt.date(2026, 9, 26),
        "total": Decimal("65.73"),
        "currency": "USD",
        "time": "20:47",
        "subtotal": Decimal("51.00"),
        "tax": Decimal("4.53"),
        "tip": Decimal("10.20"),
    }
    assert [item.amount for item in diner.items] == [
        Decimal("18.50"),
        Decimal("16.00"),
        Decimal("7.50"),
        Decimal("9.00"),
    ]
