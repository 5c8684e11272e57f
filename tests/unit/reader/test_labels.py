import pytest

from worker.reader.labels import label

LABELS = """
total: TOTAL | Total (RM) | GRAND TOTAL | TOTAL SALES (INCLUSIVE GST) | Total Incl. GST@6% | NETT TOTAL
total: Amount Due | Payable Amount | TOTAL TO PAY | Total Rounded | T0TAL | Totai | Balance Due
total: SUMME EUR | Gesamtbetrag | zu zahlen | Total TTC | Net à payer | TOTAL A PAGAR
total: Totale complessivo | Te betalen | Order Total | 合计 | Total 3 items | Valor a Pagar R$
total: Total charge
subtotal: SUBTOTAL | Sub-Total | Suototal | S/TOTAL | Total Excl. GST | Total Sales (Excluding GST)
subtotal: Zwischensumme | Sous-total | Total HT | Total before tax
tax: GST 6% | Total GST | TAX | Sales Tax | TOTAL TAX | MwSt 19% | TVA 10% | Service Tax 6%
tax: Tax Total:
change: CHANGE | Change Due | Rückgeld BAR | Wisselgeld | Troco | お釣り
cash: CASH | Amount Tendered | Geg. BAR | Bar | Efectivo | Tunai
rounding: Rounding | ROUND OFF | Rounding Adj (RM) | RND
count: Total Qty | No of items | ANZAHL ARTIKEL | Total Item(s)
discount: Discount | Member Discount | Rabatt | Descontos R$
saving: Total Savings | YOU SAVED
tip: Tip | Gratuity
service: Service Charge 10% | SVC CHG
card: VISA | Kartenzahlung | DEBIT | PIX
none: Bread | Bar Soap | Ground Beef | Cashew Nuts | Tipsy Cake | TIP BALKANKAESE | TABLE
"""


CASES = [
    (kind, text)
    for kind, _, texts in (line.partition(": ") for line in LABELS.strip().splitlines())
    for text in texts.split(" | ")
]


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_the_words_before_an_amount_give_its_kind(kind: str, text: str) -> None:
    """A label is recognised in its language, even with a misread letter, and goods are not labels."""
    assert label(text).kind == kind


def test_the_last_of_two_labels_counts() -> None:
    """If a row has two labels, the amount belongs to the later one."""
    assert label("Qty : 1 Total RM").kind == "total"
