"""Receipts from Germany and Switzerland: the marked price includes the tax, which is listed by rate at the foot."""

import datetime as dt
from decimal import Decimal

from worker.receipts.receipt import Merchant, Payment, Receipt
from worker.workbench.local.samples.layout import Numbers, Sample, Sheet, gap, item, sum_of, tax_within
from worker.workbench.local.samples.paper import Roll
from worker.workbench.local.samples.photo import Photo, Scan

COMMA = Numbers(thousands=".", decimal=",")
SWISS = Numbers(thousands="'", decimal=".")


def supermarket() -> Sample:
    """Return a receipt from Germany: a table of tax rates A and B, a bottle deposit, paid by card."""
    items = (
        item("VOLLMILCH 3,5% 1L", "2.58", quantity="2", unit_price="1.29"),
        item("BAUERNBROT 750G", "3.49"),
        item("GOUDA JUNG 400G", "3.99"),
        item("ÄPFEL BRAEBURN", "3.43", quantity="1.148", unit_price="2.99"),
        item("EIER BODENHALTUNG 10", "2.79"),
        item("NUDELN SPIRELLI", "2.97", quantity="3", unit_price="0.99"),
        item("SPÜLMITTEL ZITRONE", "1.45"),
        item("KÜCHENTÜCHER 4ER", "3.25"),
        item("MINERALWASSER 6X1,5", "4.14"),
        item("PFAND", quantity="6", unit_price="0.25"),
        item("GRÜNER TEE 25ER", "2.19"),
    )
    standard = {"SPÜLMITTEL ZITRONE", "KÜCHENTÜCHER 4ER", "MINERALWASSER 6X1,5", "PFAND"}
    total = sum_of(items)
    at_19 = sum_of(line for line in items if line.description in standard)
    receipt = Receipt(
        merchant=Merchant(
            name="Lindenmarkt Brandt KG",
            address="Prager Allee 61, 01069 Dresden",
            phone="0351 555 0142",
            tax_id="DE 287 514 063",
        ),
        purchase_date=dt.date(2026, 10, 17),
        purchase_time="18:34:09",
        currency="EUR",
        items=items,
        taxes=(tax_within("Steuer A", "19", at_19), tax_within("Steuer B", "7", total - at_19)),
        total=total,
        payment=Payment(method="girocard", card_last_four="5521"),
        receipt_number="4471",
        country="DE",
        language="de",
    )
    sheet = Sheet(40)
    lines = [
        *sheet.centre("Lindenmarkt", size=2.1, bold=True, face="sans"),
        *gap(),
        *sheet.centre("Lindenmarkt Brandt KG", "Prager Allee 61", "01069 Dresden", "Tel. 0351 555 0142"),
        *sheet.centre("UID Nr. DE 287 514 063"),
        *gap(),
        *sheet.table((38, "EUR", "r")),
    ]
    for line in items:
        mark = "A" if line.description in standard else "B"
        deposit = f" {line.quantity}X{COMMA(line.unit_price)}" if line.description == "PFAND" else ""
        lines += sheet.table((0, f"{line.description}{deposit}", "l"), (38, COMMA(line.amount), "r"), (39, mark, "l"))
        if line.quantity == Decimal("1.148"):
            lines += sheet.left(f"   1,148 kg x  {COMMA(line.unit_price)} EUR/kg")
        elif line.quantity and not deposit:
            lines += sheet.left(f"   {line.quantity} Stk x    {COMMA(line.unit_price)}")
    lines += [
        *sheet.rule(),
        *sheet.table((0, "SUMME", "l"), (24, "EUR", "r"), (38, COMMA(total), "r"), bold=True),
        *sheet.rule("="),
        *sheet.table((0, "Geg. girocard", "l"), (24, "EUR", "r"), (38, COMMA(total), "r")),
        *gap(),
        *sheet.centre("* * Kundenbeleg * *"),
        *sheet.row("Datum:", "17.10.2026"),
        *sheet.row("Uhrzeit:", "18:34:09 Uhr"),
        *sheet.row("Beleg-Nr.", "4471"),
        *sheet.row("Trace-Nr.", "118206"),
        *sheet.row("Kartennr.", "############5521"),
        *sheet.centre("Zahlung erfolgt"),
        *gap(),
        *sheet.table((0, "Steuer  %", "l"), (20, "Netto", "r"), (30, "Steuer", "r"), (40, "Brutto", "r")),
    ]
    for mark, tax, gross in zip("AB", receipt.taxes, (at_19, total - at_19), strict=True):
        lines += sheet.table(
            (0, f"{mark}= {tax.rate},0%", "l"),
            (20, COMMA(tax.net), "r"),
            (30, COMMA(tax.amount), "r"),
            (40, COMMA(gross), "r"),
        )
    nets = sum((tax.net or Decimal(0) for tax in receipt.taxes), Decimal(0))
    lines += [
        *sheet.table(
            (0, "Gesamt", "l"), (20, COMMA(nets), "r"), (30, COMMA(total - nets), "r"), (40, COMMA(total), "r")
        ),
        *gap(),
        *sheet.row("Markt 0611   Kasse 3", "Bed. 27"),
        *sheet.centre("Vielen Dank für Ihren Einkauf!", "Mo - Sa  7 bis 21 Uhr"),
    ]
    roll = Roll(tuple(lines), 40, scale=1.3, ink=(66, 62, 78))
    return Sample("de-supermarket-card.jpg", receipt, roll, Scan(turn_deg=-0.9, lid=(205, 206, 208)))


def electronics() -> Sample:
    """Return a receipt from Germany over a thousand euros, photographed with a phone that stores HEIC."""
    items = (
        item("Notebook Aurin 14 16GB", quantity="1", unit_price="1149.00", product_code="208841"),
        item("USB-C Dock 8in1", quantity="1", unit_price="89.90", product_code="117320"),
        item("Kabel HDMI 2m", quantity="2", unit_price="12.99", product_code="104417"),
    )
    total = sum_of(items)
    receipt = Receipt(
        merchant=Merchant(
            name="Funkwerk Elektro GmbH",
            address="Karl-Heine-Platz 9, 04229 Leipzig",
            phone="0341 555 0191",
            tax_id="DE 314 220 875",
        ),
        purchase_date=dt.date(2026, 1, 24),
        purchase_time="13:05",
        currency="EUR",
        items=items,
        taxes=(tax_within("MwSt", "19", total),),
        total=total,
        payment=Payment(method="credit card", card_last_four="3308"),
        receipt_number="00291764",
        country="DE",
        language="de",
    )
    (tax,) = receipt.taxes
    sheet = Sheet(38)
    lines = [
        *sheet.centre("FUNKWERK", size=2.1, bold=True, face="sans"),
        *sheet.centre("Funkwerk Elektro GmbH", "Karl-Heine-Platz 9", "04229 Leipzig", "Telefon 0341 555 0191"),
        *gap(),
        *sheet.row("Bon 00291764", "24.01.2026 13:05"),
        *sheet.row("Kasse 2", "Es bediente Sie: Hr. Olm"),
        *sheet.rule(),
    ]
    for line in items:
        lines += sheet.left(f"{line.product_code}  {line.description}")
        each = COMMA(line.unit_price)
        lines += sheet.table((4, f"{line.quantity} x {each}", "l"), (38, COMMA(line.amount), "r"))
    lines += [
        *sheet.rule(),
        *sheet.row("Summe EUR", COMMA(total), size=1.4, bold=True),
        *sheet.row("Kreditkarte EUR", COMMA(total)),
        *sheet.left("Karte: **** **** **** 3308"),
        *gap(),
        *sheet.table((0, "MwSt", "l"), (20, "Netto", "r"), (29, "MwSt", "r"), (38, "Brutto", "r")),
        *sheet.table(
            (0, "19,00 %", "l"), (20, COMMA(tax.net), "r"), (29, COMMA(tax.amount), "r"), (38, COMMA(total), "r")
        ),
        *gap(),
        *sheet.centre("USt-IdNr. DE 314 220 875", "Umtausch nur mit Kassenbon", "innerhalb von 14 Tagen"),
    ]
    photo = Photo(
        (1125, 1500),
        ((0.17, 0.09), (0.79, 0.06), (0.86, 0.91), (0.11, 0.95)),
        table=(176, 170, 160),
        wave=0.008,
        shadow=0.3,
        blur_px=0.8,
    )
    return Sample("de-electronics-photo.heic", receipt, Roll(tuple(lines), 38, scale=1.9), photo)


def stationer() -> Sample:
    """Return a receipt from Switzerland: over a thousand francs with apostrophes, cash and change."""
    items = (
        item("Bürostuhl Ergo Lino", "649.00", quantity="1", unit_price="649.00"),
        item("Kopierpapier A4 2500 Bl", "119.50", quantity="5", unit_price="23.90"),
        item("Toner schwarz XL", "378.00", quantity="2", unit_price="189.00"),
        item("Agenda 2027 Leder", "88.00", quantity="1", unit_price="88.00"),
    )
    total, given = sum_of(items), Decimal("1300.00")
    receipt = Receipt(
        merchant=Merchant(
            name="Papeterie Sihlblatt AG",
            address="Gessnergasse 18, 8001 Zürich",
            phone="044 555 01 36",
            tax_id="CHE-284.619.507 MWST",
        ),
        purchase_date=dt.date(2026, 6, 30),
        purchase_time="14:51",
        currency="CHF",
        items=items,
        taxes=(tax_within("MWST", "8.1", total),),
        total=total,
        payment=Payment(method="cash"),
        receipt_number="77-20943",
        country="CH",
        language="de",
    )
    (tax,) = receipt.taxes
    sheet = Sheet(40)
    lines = [
        *sheet.centre("Papeterie", size=1.2, face="serif"),
        *sheet.centre("SIHLBLATT", size=2, bold=True, face="serif"),
        *gap(),
        *sheet.centre("Papeterie Sihlblatt AG", "Gessnergasse 18, 8001 Zürich", "Tel. 044 555 01 36"),
        *sheet.centre("CHE-284.619.507 MWST"),
        *gap(),
        *sheet.row("Quittung 77-20943", "30.06.2026 14:51"),
        *sheet.rule(),
        *sheet.table((0, "Artikel", "l"), (40, "CHF", "r")),
    ]
    for line in items:
        lines += sheet.left(line.description or "")
        lines += sheet.table((2, f"{line.quantity} x {SWISS(line.unit_price)}", "l"), (40, SWISS(line.amount), "r"))
    lines += [
        *sheet.rule(),
        *sheet.row("Total CHF", SWISS(total), size=1.5, bold=True),
        *sheet.row("Bar", SWISS(given)),
        *sheet.row("Rückgeld", SWISS(given - total)),
        *gap(),
        *sheet.left(f"inkl. MWST 8.1% auf {SWISS(tax.net)}:  {SWISS(tax.amount)}"),
        *gap(),
        *sheet.centre("Besten Dank für Ihren Einkauf", "Mo-Fr 8.30-18.30  Sa 9-16 Uhr"),
    ]
    return Sample("ch-stationer-cash.jpg", receipt, Roll(tuple(lines), 40, scale=1.4), Scan(turn_deg=0.5))
