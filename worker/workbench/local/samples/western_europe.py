"""Receipts from Britain, France and Spain: the marked price includes value added tax, at several rates."""

import datetime as dt
from decimal import Decimal

from worker.receipts.receipt import Merchant, Payment, Receipt
from worker.workbench.local.samples.layout import Numbers, Sample, Sheet, bars, gap, item, sum_of, tax_within
from worker.workbench.local.samples.paper import Roll
from worker.workbench.local.samples.photo import Scan

POINT = Numbers(thousands=",", decimal=".")
COMMA = Numbers(thousands=".", decimal=",")
FRENCH = Numbers(thousands=" ", decimal=",")


def chemist() -> Sample:
    """Return a receipt from the United Kingdom: zero and standard rate, a discount, cash with change."""
    items = (
        item("SUN LOTION SPF30", "9.50"),
        item("TOOTHBRUSH MED", "3.25"),
        item("TOOTHBRUSH MED", "3.25"),
        item("TOOTHBRUSH MED", "3.25"),
        item("CHILD VITAMIN C", "6.49"),
        item("PLASTERS 40", "2.99"),
        item("BABY MILK 800G", "10.75"),
    )
    offer, given = Decimal("3.25"), Decimal("40.00")
    total = sum_of(items) - offer
    receipt = Receipt(
        merchant=Merchant(
            name="Ashdown & Pike Chemists",
            address="14 Bridge Street, Lewes, BN7 2AD",
            phone="01273 555 018",
            tax_id="GB 384 1920 57",
        ),
        purchase_date=dt.date(2026, 9, 5),
        purchase_time="16:22",
        currency="GBP",
        items=items,
        subtotal=sum_of(items),
        taxes=(
            tax_within("VAT A", "20", total - Decimal("10.75")),
            tax_within("VAT Z", "0", Decimal("10.75")),
        ),
        discount=offer,
        total=total,
        payment=Payment(method="cash"),
        country="GB",
        language="en",
    )
    sheet = Sheet(36)
    lines = [
        *sheet.centre("ASHDOWN & PIKE", size=1.7, bold=True),
        *sheet.centre("CHEMISTS", bold=True),
        *gap(),
        *sheet.centre("14 Bridge Street, Lewes, BN7 2AD", "Tel 01273 555 018", "VAT No. GB 384 1920 57"),
        *gap(),
        *sheet.row("05/09/2026  16:22", "TILL 2"),
        *sheet.row("SERVED BY: MARGARET", "0412 7735"),
        *sheet.rule(),
    ]
    for line in items:
        mark = "Z" if line.amount == Decimal("10.75") else "A"
        lines += sheet.table((0, line.description or "", "l"), (33, POINT(line.amount), "r"), (35, mark, "l"))
    lines += [
        *sheet.rule(),
        *sheet.table((0, "Subtotal", "l"), (33, POINT(receipt.subtotal), "r")),
        *sheet.table((0, "3 FOR 2 TOOTHBRUSH", "l"), (33, f"-{POINT(offer)}", "r")),
        *sheet.row("TOTAL", f"£{POINT(total)}", size=1.6, bold=True),
        *sheet.row("CASH", f"£{POINT(given)}"),
        *sheet.row("CHANGE", f"£{POINT(given - total)}"),
        *gap(),
        *sheet.table((0, "VAT", "l"), (6, "RATE", "l"), (25, "NET", "r"), (36, "VAT", "r")),
    ]
    for mark, tax in zip("AZ", receipt.taxes, strict=True):
        lines += sheet.table(
            (1, mark, "l"), (6, f"{tax.rate}%", "l"), (25, POINT(tax.net), "r"), (36, POINT(tax.amount), "r")
        )
    lines += [
        *gap(),
        *sheet.centre("Please keep your receipt.", "Medicines cannot be returned."),
        *bars("04127735050926"),
    ]
    return Sample("uk-chemist-cash.jpg", receipt, Roll(tuple(lines), 36, scale=1.35), Scan(turn_deg=0.8))


def bistro() -> Sample:
    """Return a restaurant bill from France with two rates, saved on the phone as a PNG."""
    items = (
        item("Soupe de poisson", "19.00", quantity="2", unit_price="9.50"),
        item("Moules marinières", "16.50", quantity="1", unit_price="16.50"),
        item("Bavette échalotes", "21.00", quantity="1", unit_price="21.00"),
        item("Far breton", "14.00", quantity="2", unit_price="7.00"),
        item("Muscadet 50 cl", "18.00", quantity="1", unit_price="18.00"),
        item("Café", "4.80", quantity="2", unit_price="2.40"),
    )
    total, wine = sum_of(items), Decimal("18.00")
    receipt = Receipt(
        merchant=Merchant(
            name="Le Petit Cormoran",
            address="27 quai des Brumes, 44000 Nantes",
            phone="02 40 55 01 73",
            tax_id="FR 61 842913507",
        ),
        purchase_date=dt.date(2026, 8, 22),
        purchase_time="21:14",
        currency="EUR",
        items=items,
        taxes=(tax_within("TVA", "10", total - wine), tax_within("TVA", "20", wine)),
        total=total,
        payment=Payment(method="card"),
        receipt_number="2026-08-11873",
        country="FR",
        language="fr",
    )
    sheet = Sheet(38)
    lines = [
        *sheet.centre("Le Petit Cormoran", size=1.7, bold=True, face="serif"),
        *sheet.centre("Bistro de la mer", face="serif"),
        *gap(),
        *sheet.centre("27 quai des Brumes", "44000 Nantes", "Tél. 02 40 55 01 73", "TVA FR 61 842913507"),
        *gap(),
        *sheet.row("Ticket 2026-08-11873", "Table 7"),
        *sheet.row("Le 22/08/2026 à 21:14", "2 couverts"),
        *sheet.rule(),
        *sheet.table((0, "Qté", "l"), (4, "Désignation", "l"), (29, "P.U.", "r"), (38, "Total", "r")),
    ]
    for line in items:
        lines += sheet.table(
            (1, str(line.quantity), "l"),
            (4, line.description or "", "l"),
            (29, FRENCH(line.unit_price), "r"),
            (38, FRENCH(line.amount), "r"),
        )
    lines += [
        *sheet.rule(),
        *sheet.row("TOTAL TTC", f"{FRENCH(total)} €", size=1.5, bold=True),
        *sheet.row("Carte bancaire", f"{FRENCH(total)} €"),
        *gap(),
        *sheet.table((0, "Taux", "l"), (18, "HT", "r"), (28, "TVA", "r"), (38, "TTC", "r")),
    ]
    for tax, gross in zip(receipt.taxes, (total - wine, wine), strict=True):
        lines += sheet.table(
            (0, f"{tax.rate},00 %", "l"),
            (18, FRENCH(tax.net), "r"),
            (28, FRENCH(tax.amount), "r"),
            (38, FRENCH(gross), "r"),
        )
    lines += [*gap(1), *sheet.centre("Prix nets, service compris", "Merci de votre visite")]
    roll = Roll(tuple(lines), 38, scale=1.45, thermal=False, ink=(20, 20, 20), paper=(255, 255, 255), grain=0)
    return Sample("fr-bistro.png", receipt, roll)


def bookshop() -> Sample:
    """Return a simplified invoice from Spain, sent as PDF, with books at the reduced rate."""
    items = (
        item("El faro de las mareas", quantity="1", unit_price="19.90"),
        item("Cuentos del olivar", quantity="2", unit_price="12.50"),
        item("Cuaderno punteado A5", quantity="1", unit_price="8.95"),
        item("Rotulador fino negro", quantity="3", unit_price="1.75"),
    )
    total, books = sum_of(items), Decimal("44.90")
    receipt = Receipt(
        merchant=Merchant(
            name="Librería Cuatro Vientos, S.L.",
            address="Calle Almirante Rueda 33, 41001 Sevilla",
            phone="955 550 127",
            tax_id="B41908236",
        ),
        purchase_date=dt.date(2026, 4, 3),
        purchase_time="12:19",
        currency="EUR",
        items=items,
        taxes=(tax_within("IVA", "4", books), tax_within("IVA", "21", total - books)),
        total=total,
        payment=Payment(method="card", card_last_four="2086"),
        receipt_number="FS-2026/004417",
        country="ES",
        language="es",
    )
    sheet = Sheet(46)
    lines = [
        *sheet.left("Librería Cuatro Vientos, S.L.", size=1.5, bold=True),
        *sheet.left("Calle Almirante Rueda 33, 41001 Sevilla", "NIF B41908236   Tel. 955 550 127"),
        *gap(1.5),
        *sheet.left("Factura simplificada", size=1.3, bold=True),
        *sheet.row("Número: FS-2026/004417", "Fecha: 03/04/2026  12:19"),
        *gap(),
        *sheet.table((0, "Descripción", "l"), (28, "Uds.", "r"), (37, "Precio", "r"), (46, "Importe", "r"), bold=True),
        *gap(0.3),
    ]
    for line in items:
        lines += sheet.table(
            (0, line.description or "", "l"),
            (28, str(line.quantity), "r"),
            (37, COMMA(line.unit_price), "r"),
            (46, COMMA(line.amount), "r"),
        )
    lines += [
        *gap(1),
        *sheet.row("TOTAL", f"{COMMA(total)} €", size=1.5, bold=True),
        *gap(1),
        *sheet.table((0, "Tipo IVA", "l"), (20, "Base", "r"), (33, "Cuota", "r"), (46, "Total", "r"), bold=True),
    ]
    for tax, gross in zip(receipt.taxes, (books, total - books), strict=True):
        lines += sheet.table(
            (0, f"{tax.rate} %", "l"), (20, COMMA(tax.net), "r"), (33, COMMA(tax.amount), "r"), (46, COMMA(gross), "r")
        )
    lines += [
        *gap(1),
        *sheet.left("Pagado con tarjeta **** **** **** 2086", "Cambios en 15 días con este documento."),
    ]
    ink, paper = (24, 28, 36), (255, 255, 255)
    roll = Roll(tuple(lines), 46, face="sans", scale=1.7, thermal=False, ink=ink, paper=paper, grain=0)
    return Sample("es-bookshop.pdf", receipt, roll)
