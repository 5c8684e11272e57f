import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import SettingsError
from worker.receipts.receipt import Item, Reading, Receipt
from worker.workbench.evaluation import report, runs, truth
from worker.workbench.evaluation.evaluate import judge as judge_reading
from worker.workbench.evaluation.runs import Run
from worker.workbench.evaluation.scores import ReceiptScore, Verdict, calibration, judge, pair, similarity, summarise
from worker.workbench.evaluation.truth import TrueItem, Truth

TODAY = dt.date(2026, 11, 23)
TRUTH = Truth(
    "a.jpg",
    {"merchant": "Corner Shop", "date": dt.date(2024, 5, 17), "total": Decimal("12.34"), "tip": Decimal(1)},
    (TrueItem("Bread", Decimal("2.50")),),
)
RIGHT = {
    "merchant": {"name": "CORNER SHOP"},
    "purchase_date": "2024-05-17",
    "total": "12.34",
    "tip": "1.00",
    "items": [{"description": "bread", "amount": "2.50"}],
}
readings = st.builds(
    lambda total, name, sure: Reading.model_validate(
        {
            "receipt": RIGHT | {"total": total, "merchant": {"name": name}},
            "confidence": {"total": sure, "merchant.name": sure},
        }
    ),
    st.one_of(st.none(), st.just("12.34"), st.decimals(0, 99, places=2).map(str)),
    st.one_of(st.none(), st.just("Corner Shop"), st.text("abc", max_size=5)),
    st.floats(0, 1),
)


def scored(*read: Reading | None) -> list[ReceiptScore]:
    return [judge_reading(TRUTH, one, None if one else "Failed: x", ms=5, threshold=0.7, today=TODAY) for one in read]


def reading(**fields: object) -> Reading:
    return Reading.model_validate({"receipt": RIGHT | fields, "confidence": {"total": 0.9, "merchant.name": 0.8}})


@pytest.mark.parametrize(
    ("known", "read", "verdict"),
    [
        ("Corner Shop", "CORNER  SHOP", Verdict.RIGHT),
        ("Corner Shop", "Corner Shops", Verdict.CLOSE),
        ("Corner Shop", "Mill Lane", Verdict.WRONG),
        (Decimal("12.30"), Decimal("12.3"), Verdict.RIGHT),
        (Decimal("12.30"), Decimal("12.32"), Verdict.CLOSE),
        (Decimal("12.30"), None, Verdict.ABSTAINED),
        (None, None, Verdict.RIGHT),
        (None, Decimal(1), Verdict.WRONG),
        (dt.date(2024, 5, 6), dt.date(2024, 6, 5), Verdict.WRONG),
    ],
)
def test_a_value_is_judged(known: object, read: object, verdict: Verdict) -> None:
    """A value is right, close, wrong or abstained; a value that is not on the picture is wrong."""
    assert judge(known, read) is verdict  # type: ignore[arg-type]  # any of a value's types


@given(st.text(max_size=30), st.text(max_size=30))
def test_similarity_is_a_share_and_knows_itself(one: str, other: str) -> None:
    """Similarity lies between 0 and 1 and is 1 for equal texts."""
    assert similarity(one, one) == 1
    assert 0 <= similarity(one, other) <= 1


@given(
    st.lists(
        st.builds(TrueItem, st.sampled_from(["milk", "bread"]), st.sampled_from([Decimal(1), Decimal(2)])), max_size=6
    )
)
def test_items_pair_with_themselves_once(items: list[TrueItem]) -> None:
    """Equal lists of items pair completely; each read item is used once."""
    read = [Item(description=one.description, amount=one.amount) for one in items]
    assert pair(items, read) == len(items)
    assert pair(items, read[:1]) == min(1, len(items))


@given(st.lists(st.one_of(st.none(), readings), max_size=8))
def test_a_summary_holds_shares(read: list[Reading | None]) -> None:
    """For any readings, exact <= fuzzy, and fuzzy, abstained and wrong sum to 1."""
    summary = summarise(scored(*read))
    for field in summary["fields"].values():
        assert 0 <= field["exact"] <= field["fuzzy"] <= 1
        assert field["fuzzy"] + field["abstained"] + field["wrong"] == pytest.approx(1, abs=0.001)
    for found in summary["calibration"].values():
        assert 0 <= found["error"] <= 1


def test_abstaining_is_not_an_error() -> None:
    """A null counts neither as right nor as wrong; without a reading all fields are abstained."""
    field = summarise(scored(reading(total=None), reading(total="9"), None))["fields"]["total"]
    assert (field["exact"], field["abstained"], field["wrong"]) == (0, pytest.approx(0.6667), pytest.approx(0.3333))


def test_calibration_compares_what_was_stated_with_what_is_right() -> None:
    """Two values with confidence 0.9, one of them right, give an error of 0.4."""
    found = calibration(scored(reading(), reading(total="99")), "total")
    assert found["bins"] == [{"from": 0.9, "to": 1.0, "count": 2, "stated": 0.9, "right": 0.5}]
    assert found["error"] == pytest.approx(0.4)


def test_a_run_is_equal_after_it_is_saved_and_loaded(tmp_path: Path) -> None:
    """A run is equal after --json writes it and --against reads it."""
    run = Run("a model", 0.7, tuple(scored(reading(), reading(total=None), None)))
    file = tmp_path / "run.json"
    file.write_text(json.dumps(run.as_json()))
    assert runs.load(file) == run


def test_two_runs_differ_where_one_is_right() -> None:
    """A change names the receipt, the field and the direction."""
    before, after = scored(reading(total="9")), scored(reading(merchant={"name": "x"}))
    assert [(one.field, one.better) for one in runs.compare(before, after)] == [("merchant", False), ("total", True)]


def test_the_report_shows_text_as_text(tmp_path: Path) -> None:
    """Text of a receipt, a file name or an error never becomes markup of the page."""
    evil = "<script>alert(1)</script>'\""
    read = reading(merchant={"name": evil})
    one = judge_reading(Truth(evil, TRUTH.fields, ()), read, None, ms=1, threshold=0.7, today=TODAY)
    failed = judge_reading(TRUTH, None, evil, ms=1, threshold=0.7, today=TODAY)
    run = Run(evil, 0.7, (one, failed))
    page = report.html(run, images=tmp_path, against=run, changes=[runs.Change(evil, evil, True, evil, evil, evil)])
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_worst_come_first() -> None:
    """A wrong total with high confidence weighs more than an abstained one."""
    wrong, open_, right = scored(reading(total="9"), reading(total=None), reading())
    assert report.blame(wrong) > report.blame(open_) > report.blame(right) == 0


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"merchant": "x"}',
        '{"file": "../x"}',
        '{"file": "a", "date": "17.5.2024"}',
        '{"file": "a", "total": "x"}',
    ],
)
def test_a_truth_that_cannot_be_understood_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    """The error names the invalid line of the file."""
    file = tmp_path / "truth.jsonl"
    file.write_text(f'{{"file": "ok.jpg", "total": null}}\n{line}\n')
    with pytest.raises(SettingsError, match="line 2"):
        truth.load(file)


def test_a_missing_field_is_not_judged_and_a_null_one_is(tmp_path: Path) -> None:
    """Null means that the picture does not show the field; a missing field is unknown and not judged."""
    file = tmp_path / "truth.jsonl"
    file.write_text(
        '{"file": "a.jpg", "date": null, "tip": null, "time": "4:58p", "line_items": [{"description": "x"}]}\n'
    )
    (one,) = truth.load(file)
    assert one.fields == {"date": None, "time": "16:58"}
    assert one.items == ()


def test_an_empty_receipt_is_abstained_from() -> None:
    """An empty reading has no errors and nothing right."""
    (one,) = scored(Reading(receipt=Receipt()))
    assert {field.verdict for field in one.fields.values()} == {Verdict.ABSTAINED}
