import pytest

from worker.reader import reader
from worker.workbench.local.samples import FILES


@pytest.mark.parametrize(("most", "left_out"), [(10, ("items",)), (600, ())])
def test_a_receipt_with_too_many_lines_lists_its_items_as_left_out(
    monkeypatch: pytest.MonkeyPatch, most: int, left_out: tuple[str, ...]
) -> None:
    """If a receipt has more lines than are read, the reading has `items` in `left_out`."""
    monkeypatch.setattr(reader, "MOST_LINES", most)
    assert reader.read((FILES / "fr-bistro.png").read_bytes()).left_out == left_out
