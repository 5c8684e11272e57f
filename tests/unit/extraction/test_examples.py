"""The example answers in docs/models.md, and its table of checks."""

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path

import pytest

from worker.extraction.protocols import ChatProtocol, EndpointProtocol, ImageProtocol, TextractProtocol
from worker.receipts import checks
from worker.receipts.checks import check, decide

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("protocol", [ImageProtocol(), ChatProtocol(extra={}), TextractProtocol()])
def test_an_example_answer_is_extracted(protocol: EndpointProtocol) -> None:
    """Each example is a complete receipt in its protocol, without findings."""
    reading = protocol.read((DOCS / "models" / f"{protocol.name}-answer.json").read_bytes())
    found = check(reading.receipt, today=dt.date(2026, 11, 25), left_out=reading.left_out)
    assert (reading.receipt.merchant.name, reading.receipt.total) == ("Corner Shop", Decimal("12.34"))
    assert reading.receipt.purchase_date == dt.date(2026, 5, 17)
    assert found == ()
    assert decide(reading, found) == "extracted"


def test_the_table_of_checks_is_complete() -> None:
    """The document lists exactly the checks in the code."""
    code = Path(checks.__file__).read_text("utf-8").replace("items_against_{name}", "items_against_total")
    code = code.replace("Finding(LEFT_OUT", f'Finding("{checks.LEFT_OUT}"')
    section = (DOCS / "models.md").read_text("utf-8").split("## What is believed")[1].split("\n## ")[0]
    told = set(re.findall(r"`([a-z]+_[a-z_]+)`", section)) - {"needs_review"}
    assert told - {"items_against_subtotal"} == set(re.findall(r'Finding\(\s*f?"(\w+)"', code))
