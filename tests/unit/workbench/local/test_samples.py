import datetime as dt
import io
import re
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pillow_heif
import pypdfium2
import pytest
from PIL import Image, ImageChops, ImageStat

from worker.receipts.checks import check
from worker.receipts.receipt import Receipt
from worker.workbench.local.samples import FILES, TRUTH_FILE, sample_files, truth

NAMES = sorted(truth())
MAX_TOTAL_BYTES = 2_500_000
DRAWN = dt.date(2026, 11, 23)


def receipt(name: str) -> Receipt:
    return Receipt.model_validate(truth()[name])


def total_of(*amounts: Decimal | None) -> Decimal:
    return sum((amount or Decimal(0) for amount in amounts), Decimal(0))


def look(path: Path) -> Image.Image:
    """Open a sample with the library for its format."""
    data = path.read_bytes()
    if path.suffix == ".pdf":
        with pypdfium2.PdfDocument(data) as document:
            assert len(document) == 1
            page: Image.Image = document[0].render(scale=1).to_pil()
            return page
    if path.suffix == ".heic":
        image: Image.Image = pillow_heif.open_heif(io.BytesIO(data)).to_pillow()
        return image
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("name", NAMES)
def test_truth_is_a_receipt(name: str) -> None:
    """The truth is a valid receipt with at least merchant, items, date, place and total."""
    stored = truth()[name]
    read = receipt(name)
    assert read.model_dump(mode="json") == stored
    assert read.merchant.name
    assert read.merchant.address
    assert read.purchase_date
    assert read.purchase_time
    assert read.currency
    assert read.country
    assert read.items
    assert read.total


@pytest.mark.parametrize("name", NAMES)
def test_truth_adds_up(name: str) -> None:
    """Items, discount, added taxes and tip sum to the total; included taxes split it by rate."""
    read = receipt(name)
    lines = total_of(*(item.amount for item in read.items))
    assert read.subtotal in {None, lines}
    goods = lines - total_of(read.discount)
    tax = total_of(*(tax.amount for tax in read.taxes))
    added = goods + tax + total_of(read.tip) == read.total
    included = goods + total_of(read.tip) == read.total
    assert added or included
    if included and read.taxes:
        assert total_of(*(tax.net for tax in read.taxes)) + tax == goods


@pytest.mark.parametrize("name", NAMES)
def test_parts_of_the_truth_agree(name: str) -> None:
    """An item is quantity times price and a tax is its rate of the net, each within half a cent."""
    read = receipt(name)
    half_a_cent = Decimal("0.005")
    for item in read.items:
        if item.quantity and item.unit_price and item.amount:
            assert abs(item.quantity * item.unit_price - item.amount) <= half_a_cent
    for tax in read.taxes:
        if tax.net is not None and tax.rate is not None and tax.amount is not None:
            # An included tax is gross minus the rounded net, so both roundings add up.
            assert abs(tax.net * tax.rate / 100 - tax.amount) <= 2 * half_a_cent


@pytest.mark.parametrize("name", NAMES)
def test_the_checks_find_nothing_in_the_truth(name: str) -> None:
    """All checks pass on the truth, so a failed check in a run is an error of the reader."""
    assert check(receipt(name), today=DRAWN) == ()


def test_every_file_has_a_truth() -> None:
    """The folder contains exactly the samples and their truth."""
    assert {path.name for path in FILES.iterdir()} == {TRUTH_FILE, *NAMES}
    assert [path.name for path in sample_files()] == list(truth())


@pytest.mark.parametrize("name", NAMES)
def test_every_file_opens(name: str) -> None:
    """Each sample is a picture in its suffix's format, large enough to read."""
    path = FILES / name
    image = look(path)
    assert min(image.size) >= 400
    if path.suffix in {".jpg", ".png"}:
        assert image.format == {".jpg": "JPEG", ".png": "PNG"}[path.suffix]


def test_the_samples_are_small() -> None:
    """All files together stay small enough for the repository."""
    assert sum(path.stat().st_size for path in FILES.iterdir()) <= MAX_TOTAL_BYTES


def test_the_samples_are_varied() -> None:
    """The samples cover several formats, currencies and cases."""
    read = [receipt(name) for name in NAMES]
    assert {Path(name).suffix for name in NAMES} == {".jpg", ".png", ".heic", ".pdf"}
    assert len({one.currency for one in read}) >= 8
    assert max(len(one.items) for one in read) >= 30
    assert any(one.tip for one in read)
    assert any(one.discount for one in read)
    assert any(one.payment.method == "cash" for one in read)
    assert any(one.payment.card_last_four for one in read)


def test_one_is_stored_sideways() -> None:
    """One photo is upright only if its EXIF orientation is applied."""
    turned = [name for name in NAMES if look(FILES / name).getexif().get(0x0112) == 6]
    assert turned == ["ca-cafe-turned.jpg"]
    width, height = look(FILES / turned[0]).size
    assert width > height


def test_card_numbers_are_masked() -> None:
    """No truth contains a full card number, not even an invented one."""
    text = (FILES / TRUTH_FILE).read_text(encoding="utf-8")
    assert not re.search(r"\d{4}([ -]?)\d{4}\1\d{4}\1\d{3,4}\b", text)


@pytest.fixture
def drawing() -> ModuleType:
    """Return the drawing script, if its typefaces are installed."""
    pytest.importorskip("matplotlib", reason="the typefaces come with matplotlib")
    from worker.workbench.local.samples import draw

    return draw


def test_the_script_has_the_committed_truth(drawing: ModuleType) -> None:
    """The script's data equals the committed truth."""
    assert drawing.truths() == truth()


@pytest.mark.parametrize(
    ("name", "grey_levels"),
    [("fr-bistro.png", 0), ("es-bookshop.pdf", 0.5), ("ch-stationer-cash.jpg", 0.5), ("ca-cafe-turned.jpg", 0.5)],
)
def test_the_script_still_draws_the_same(drawing: ModuleType, tmp_path: Path, name: str, grey_levels: float) -> None:
    """A new drawing equals the committed lossless sample pixel by pixel, and looks the same as another one."""
    (sample,) = (made for made in (make() for make in drawing.SAMPLES) if made.file == name)
    drawn, committed = look(drawing.save(sample, tmp_path)), look(FILES / name)
    assert drawn.getexif() == committed.getexif()
    difference = ImageStat.Stat(ImageChops.difference(drawn.convert("RGB"), committed.convert("RGB")))
    assert max(difference.mean) <= grey_levels
