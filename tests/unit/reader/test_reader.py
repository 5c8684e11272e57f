import pytest

from worker.reader import reader
from worker.workbench.local.samples import FILES


@pytest.mark.parametrize(("most", "left_out"), [(10, ("items",)), (600, ())])
def test_what_was_not_read_to_the_end_says_so(
    monkeypatch: pytest.MonkeyPatch, most: int, left_out: tuple[str, ...]
) -> None:
    """Of a receipt with more lines than are read, the items are not all, and the reading says it."""
    monkeypatch.setattr(reader, "MOST_LINES", most)
    assert reader.read((FILES / "fr-bistro.png").read_bytes()).left_out == left_out
