import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.page import line
from worker.reader.fields import extract
from worker.receipts.receipt import Reading

TODAY = dt.date(2026, 11, 23)
WORDS = """
TOTAL Total GST 6% 19,00% CASH Change Sdn Bhd ( ) x @ 2 1.000 12.34 12,34 -5,02 999,999,999,999,999,999,999.99
999999999999999999999999999999 1e9 00/00/0000 31/02/2024 12/05/2024 24:61 ½ ٣ ² 合計 € RM $ ... & No. Tel ####1234 S.L.
"""
words = st.sampled_from([*WORDS.split(), "\uff11\uff12.\uff13\uff14", "\u202e", "A" * 3_000])
texts = st.one_of(st.lists(words, min_size=1, max_size=6).map(" ".join), st.text(max_size=40))
places = st.tuples(st.floats(-50, 3_000), st.floats(-50, 3_000), st.floats(1, 300), st.floats(0, 1))
lines = st.builds(lambda text, place: line(text, place[0], place[1], height=place[2], score=place[3]), texts, places)


@settings(max_examples=150)
@given(st.lists(st.lists(lines, max_size=14), max_size=3))
def test_any_ocr_result_gives_a_reading(pages: list[list[object]]) -> None:
    """Any text at any place gives a reading that a worker accepts."""
    reading = extract(pages, today=TODAY)  # type: ignore[arg-type]  # lists of lines
    assert Reading.model_validate_json(reading.model_dump_json()) == reading
