import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.reader.country import Order
from worker.reader.dates import find

TODAY = dt.date(2026, 11, 23)
days = st.dates(min_value=dt.date(1990, 1, 1), max_value=TODAY)


def read(*texts: str, order: Order = "") -> str | None:
    found = find(texts, [1.0] * len(texts), order, today=TODAY).date
    return found.isoformat() if found else None


@given(
    days,
    st.sampled_from(
        ["%Y-%m-%d", "%d %b %Y", "%B %d, %Y", "%d%b%y 13:56", "%Y.%m.%d 10:00", "%d-%b-%Y", "%b %d, %Y 1:54 PM"]
    ),
)
def test_an_unambiguous_date_is_read(day: dt.date, form: str) -> None:
    """A date with a named month or the year first is read."""
    assert read(day.strftime(form)) == day.isoformat()


@given(days)
def test_an_ambiguous_date_is_not_read(day: dt.date) -> None:
    """Without evidence, a date with day and month both up to 12 gives None; other dates are read."""
    open_to_both = day.day <= 12 and day.day != day.month and dt.date(day.year, day.day, day.month) <= TODAY
    assert read(day.strftime("%d/%m/%Y")) == (None if open_to_both else day.isoformat())


@given(days, st.sampled_from(["dmy", "mdy"]))
def test_the_country_s_custom_decides(day: dt.date, order: Order) -> None:
    """If the country is known, its order of day and month is used."""
    written = day.strftime("%d/%m/%Y" if order == "dmy" else "%m/%d/%Y")
    assert read(written, order=order) == day.isoformat()


@pytest.mark.parametrize(
    ("texts", "day"),
    [
        (["07/05/2024 10:00", "Expires 07/23/2024"], "2024-07-05"),  # the other date has its month first
        (["03/04/2018 12:00", "19635012933992020180403"], "2018-04-03"),  # a longer number repeats it
        (["08/09/2012 SAT"], "2012-09-08"),  # the eighth of September was a Saturday
        (["Date: 17/03/2018", "Card Expiry: 31/05/20"], "2018-03-17"),
        (["Fecha:03/04/202612:19", "17/04/2026"], "2026-04-03"),  # a time follows the year without a blank
        (["25032018 13:11:54 0003"], "2018-03-25"),
        (["JAN09:03 9:03PM"], "2003-01-09"),
        (["Ju103'12 02:34PM"], "2012-07-03"),
        (["2024年5月17日"], "2024-05-17"),
        (["16/04/2018（Mon）8:21"], "2018-04-16"),
        (["5.09.15 19:20"], "2015-09-05"),  # with points the day comes first
        (["05/09/15 19:20", "Bon 25/09/15"], "2015-09-05"),
        (["Tel 03-7731 8169", "7/118B"], None),
        (["31/12/2077"], None),
        (["l7/01/2O18"], "2018-01-17"),  # letters for digits
        (["Date 07/05/2024", "Miti :21/03/2081"], "2024-07-05"),  # the third month of Nepal's year is June and July
    ],
)
def test_the_receipt_s_evidence_decides(texts: list[str], day: str | None) -> None:
    """Other evidence on the receipt resolves an ambiguous date."""
    assert read(*texts) == day


@pytest.mark.parametrize(
    ("text", "time"), [("2024-05-17 2:05 pm", "14:05"), ("2024-05-17 00:15:59", "00:15:59"), ("17 May 2024", None)]
)
def test_the_time_beside_the_date_is_read(text: str, time: str | None) -> None:
    """The time beside the date is returned on the 24-hour clock."""
    assert find([text], [1.0], "", today=TODAY).time == time
