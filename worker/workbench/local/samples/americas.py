"""Receipts from the Americas: sales tax is added to the marked price in the north and included in Brazil."""

import datetime as dt
from decimal import Decimal

from worker.receipts.receipt import Merchant, Payment, Receipt
from worker.workbench.local.samples.layout import Numbers, Sample, Sheet, bars, gap, item, sum_of, tax_beside, tax_on
from worker.workbench.local.samples.paper import Roll
from worker.workbench.local.samples.photo import Photo, Scan

POINT = Numbers(thousands=",", decimal=".")
COMMA = Numbers(thousands=".", decimal=",")

# Description, quantity (" lb" if weighed), unit price, and T if taxed: Ohio does not tax food for home use.
GROCERIES = """
BANANAS ORGANIC|2.41 lb|0.79|
GALA APPLES|3.08 lb|1.69|
AVOCADO HASS|3|1.25|
BABY SPINACH 10OZ|1|4.49|
YELLOW ONIONS 3LB|1|3.29|
ROMA TOMATOES|1.86 lb|1.99|
BLUEBERRIES PINT|2|3.99|
STRAWBERRIES 1LB|1|4.29|
WHOLE MILK GAL|1|4.19|
SALTED BUTTER 1LB|1|5.49|
GREEK YOGURT 32OZ|1|6.29|
CHEDDAR BLOCK 8OZ|2|3.79|
SOURDOUGH LOAF|1|5.29|
CHICKEN THIGHS|3.12 lb|2.99|
GROUND BEEF 85|2.04 lb|6.49|
BACON THICK CUT|1|7.99|
SALMON FILLET|1.15 lb|12.99|
BLACK BEANS CAN|4|1.09|
MARINARA SAUCE|2|3.49|
ROLLED OATS 42OZ|1|5.19|
PEANUT BUTTER|1|4.59|
OLIVE OIL 500ML|1|11.49|
GROUND COFFEE 12OZ|1|9.99|
ORANGE JUICE 52OZ|1|4.79|
SPARKLING WATER 8PK|2|4.49|T
COLA 12PK|1|8.99|T
VANILLA ICE CREAM|1|5.99|
DISH SOAP|1|3.79|T
PAPER TOWELS 6PK|1|11.99|T
LAUNDRY DETERGENT|1|13.99|T
TOOTHPASTE|1|4.49|T
"""


def grocery() -> Sample:
    """Return a long receipt from the United States: a week's shopping with coupons, partly taxed."""
    goods = [line.split("|") for line in GROCERIES.strip().splitlines()]
    items = tuple(
        item(name, price) if quantity == "1" else item(name, quantity=quantity.removesuffix(" lb"), unit_price=price)
        for name, quantity, price, _ in goods
    )
    subtotal = sum_of(items)
    tax = tax_on("TAX", "8.0", sum_of(line for line, (*_, mark) in zip(items, goods, strict=True) if mark))
    coupons = Decimal("6.50")
    receipt = Receipt(
        merchant=Merchant(
            name="Hollow Maple Market", address="2418 Larkin Mill Rd, Columbus, OH 43214", phone="(614) 555-0142"
        ),
        purchase_date=dt.date(2026, 3, 14),
        purchase_time="11:42",
        currency="USD",
        items=items,
        subtotal=subtotal,
        taxes=(tax,),
        discount=coupons,
        total=subtotal - coupons + (tax.amount or 0),
        payment=Payment(method="visa", card_last_four="4417"),
        receipt_number="0038-04-7719",
        country="US",
        language="en",
    )
    sheet = Sheet(38)
    lines = [
        *sheet.centre("Hollow Maple", "MARKET", size=1.9, bold=True, face="serif"),
        *gap(),
        *sheet.centre("2418 Larkin Mill Rd", "Columbus, OH 43214", "(614) 555-0142"),
        *gap(),
        *sheet.row("STORE 0038  REG 04", "CASHIER: JOAN"),
        *sheet.rule(),
    ]
    for line, (name, quantity, price, mark) in zip(items, goods, strict=True):
        if quantity != "1":
            weighed = quantity.endswith(" lb")
            lines += sheet.left(f"  {quantity} @ ${price}/lb" if weighed else f"  {quantity} @ ${price}")
        lines += sheet.table((0, name, "l"), (34, POINT(line.amount), "r"), (36, mark or "F", "l"))
    lines += [
        *sheet.rule(),
        *sheet.row("SUBTOTAL", POINT(subtotal)),
        *sheet.row("STORE COUPONS", f"-{POINT(coupons)}"),
        *sheet.row(f"TAX 8.000% ON {POINT(tax.net)}", POINT(tax.amount)),
        *sheet.row("TOTAL", f"${POINT(receipt.total)}", size=1.6, bold=True),
        *gap(),
        *sheet.row("VISA CREDIT", POINT(receipt.total)),
        *sheet.left("CARD # ************4417", "APPROVED  AUTH 05521C", "AID A0000000031010"),
        *sheet.row("CHANGE DUE", "0.00"),
        *gap(),
        *sheet.centre(f"ITEMS SOLD {len(items)}", "TRANS # 0038-04-7719", "03/14/2026  11:42 AM"),
        *bars("00380477190314"),
        *sheet.centre("YOU SAVED $6.50 TODAY", "Thank you for shopping local!"),
    ]
    return Sample("us-grocery-long.jpg", receipt, Roll(tuple(lines), 38, scale=1.2), Scan(turn_deg=0.35))


def diner() -> Sample:
    """Return a restaurant bill from the United States with a tip, photographed on the table."""
    items = (
        item("Chicken & Waffles", "18.50", quantity="1"),
        item("Patty Melt", "16.00", quantity="1"),
        item("Iced Tea", "7.50", quantity="2"),
        item("Key Lime Pie", "9.00", quantity="1"),
    )
    subtotal, tip = sum_of(items), Decimal("10.20")
    tax = tax_beside("Sales Tax", "8.875", subtotal)
    receipt = Receipt(
        merchant=Merchant(name="Blue Heron Diner", address="88 Canal Row, Brooklyn, NY 11231", phone="(718) 555-0178"),
        purchase_date=dt.date(2026, 9, 26),
        purchase_time="20:47",
        currency="USD",
        items=items,
        subtotal=subtotal,
        taxes=(tax,),
        tip=tip,
        total=subtotal + (tax.amount or 0) + tip,
        payment=Payment(method="mastercard", card_last_four="9023"),
        receipt_number="20614",
        country="US",
        language="en",
    )
    sheet = Sheet(34)
    lines = [
        *sheet.centre("BLUE HERON DINER", size=1.5, bold=True),
        *sheet.centre("88 Canal Row", "Brooklyn, NY 11231", "(718) 555-0178"),
        *gap(),
        *sheet.row("Server: Dana", "Table 14"),
        *sheet.row("Check #20614", "Guests: 2"),
        *sheet.row("Sep 26, 2026", "8:47 PM"),
        *sheet.rule(),
    ]
    for line in items:
        lines += sheet.row(f"{line.quantity}  {line.description}", POINT(line.amount))
    lines += [
        *sheet.rule(),
        *sheet.row("Subtotal", POINT(subtotal)),
        *sheet.row("Sales Tax 8.875%", POINT(tax.amount)),
        *sheet.row("Tip", POINT(tip)),
        *sheet.row("TOTAL", f"${POINT(receipt.total)}", size=1.5, bold=True),
        *gap(),
        *sheet.left("MASTERCARD", "XXXX XXXX XXXX 9023", "Approval: 771204"),
        *gap(1),
        *sheet.centre("Customer copy", "Come back soon!"),
    ]
    photo = Photo(
        (1080, 1440), ((0.22, 0.07), (0.80, 0.045), (0.87, 0.94), (0.13, 0.95)), table=(122, 84, 56), shadow=0.34
    )
    return Sample("us-diner-tip.jpg", receipt, Roll(tuple(lines), 34, scale=1.9), photo)


def cafe() -> Sample:
    """Return a receipt from Canada with two added taxes, photographed with the phone held sideways."""
    items = (
        item("FLAT WHITE", "5.25"),
        item("OAT LATTE LG", "6.50"),
        item("ALMOND CROISSANT", "5.75"),
        item("TRAVEL MUG 12OZ", "28.00"),
    )
    subtotal = sum_of(items)
    gst, pst = tax_on("GST", "5", subtotal), tax_on("PST", "7", Decimal("28.00"))
    receipt = Receipt(
        merchant=Merchant(
            name="Cedar & Salt Coffee Bar",
            address="1127 Alder Crescent, Vancouver, BC V6E 2K4",
            phone="604-555-0163",
            tax_id="81234 5678 RT0001",
        ),
        purchase_date=dt.date(2026, 2, 27),
        purchase_time="10:08",
        currency="CAD",
        items=items,
        subtotal=subtotal,
        taxes=(gst, pst),
        total=subtotal + (gst.amount or 0) + (pst.amount or 0),
        payment=Payment(method="visa", card_last_four="7730"),
        receipt_number="A-31877",
        country="CA",
        language="en",
    )
    sheet = Sheet(36)
    lines = [
        *sheet.centre("Cedar & Salt", size=1.8, bold=True, face="serif"),
        *sheet.centre("COFFEE BAR", bold=True),
        *gap(),
        *sheet.centre("1127 Alder Crescent", "Vancouver, BC  V6E 2K4", "604-555-0163", "GST# 81234 5678 RT0001"),
        *gap(),
        *sheet.row("Order A-31877", "2026-02-27 10:08"),
        *sheet.rule("="),
    ]
    for line, mark in zip(items, ("G ", "G ", "G ", "GP"), strict=True):
        lines += sheet.table((0, line.description or "", "l"), (32, POINT(line.amount), "r"), (34, mark, "l"))
    lines += [
        *sheet.rule("="),
        *sheet.row("SUBTOTAL", POINT(subtotal)),
        *sheet.row(f"GST 5%  on {POINT(gst.net)}", POINT(gst.amount)),
        *sheet.row(f"PST 7%  on {POINT(pst.net)}", POINT(pst.amount)),
        *sheet.row("TOTAL CAD", f"${POINT(receipt.total)}", size=1.5, bold=True),
        *gap(),
        *sheet.left("VISA  **** **** **** 7730", "CONTACTLESS   APPROVED 00-001"),
        *gap(1),
        *sheet.centre("Roasted round the corner.", "Thank you / Merci"),
    ]
    photo = Photo(
        (1050, 1400),
        ((0.15, 0.06), (0.85, 0.08), (0.80, 0.95), (0.19, 0.93)),
        table=(92, 96, 98),
        wave=-0.006,
        shadow=0.24,
    )
    return Sample("ca-cafe-turned.jpg", receipt, Roll(tuple(lines), 36, scale=1.9), photo, turned=True)


def hardware() -> Sample:
    """Return a consumer invoice (NFC-e) from Brazil over a thousand reais, with a discount."""
    items = (
        item("FURADEIRA IMPACTO 650W", quantity="1", unit_price="389.90", product_code="001042"),
        item("TINTA ACRILICA 18L BRANCO", quantity="2", unit_price="298.50", product_code="000317"),
        item("ROLO LA 23CM", quantity="3", unit_price="24.90", product_code="000588"),
        item("LIXA FERRO 120", quantity="10", unit_price="3.20", product_code="000921"),
        item("FITA CREPE 48MM", quantity="2", unit_price="14.95", product_code="001177"),
    )
    gross, discount = sum_of(items), Decimal("35.00")
    receipt = Receipt(
        merchant=Merchant(
            name="Ferragens Ipê Roxo Ltda",
            address="Rua das Laranjeiras, 452, Vila Mariana, São Paulo - SP",
            tax_id="12.345.678/0001-95",
        ),
        purchase_date=dt.date(2025, 12, 12),
        purchase_time="11:03:27",
        currency="BRL",
        items=items,
        subtotal=gross,
        discount=discount,
        total=gross - discount,
        payment=Payment(method="pix"),
        receipt_number="000.018.342",
        country="BR",
        language="pt",
    )
    sheet = Sheet(44)
    lines = [
        *sheet.centre("FERRAGENS IPÊ ROXO LTDA", size=1.2, bold=True),
        *sheet.centre("CNPJ: 12.345.678/0001-95", "Rua das Laranjeiras, 452", "Vila Mariana, São Paulo - SP"),
        *sheet.rule(),
        *sheet.centre("Documento Auxiliar da Nota Fiscal", "de Consumidor Eletrônica", bold=True),
        *sheet.rule(),
        *sheet.table((0, "Código", "l"), (8, "Descrição", "l")),
        *sheet.table((13, "Qtde", "r"), (16, "UN", "l"), (31, "Vl Unit", "r"), (44, "Vl Total", "r")),
    ]
    for line in items:
        lines += sheet.table((0, line.product_code or "", "l"), (8, line.description or "", "l"))
        lines += sheet.table(
            (13, str(line.quantity), "r"),
            (16, "UN x", "l"),
            (31, COMMA(line.unit_price), "r"),
            (44, COMMA(line.amount), "r"),
        )
    lines += [
        *sheet.rule(),
        *sheet.row("Qtde. total de itens", f"{len(items):03}"),
        *sheet.row("Valor total R$", COMMA(gross)),
        *sheet.row("Descontos R$", COMMA(discount)),
        *sheet.row("Valor a Pagar R$", COMMA(receipt.total), size=1.2, bold=True),
        *sheet.row("FORMA DE PAGAMENTO", "VALOR PAGO R$"),
        *sheet.row("PIX", COMMA(receipt.total)),
        *sheet.rule(),
        *sheet.centre("CONSUMIDOR NÃO IDENTIFICADO"),
        *sheet.centre("NFC-e nº 000.018.342  Série 001", "Emissão 12/12/2025 11:03:27"),
        *bars("35251212345678000195"),
        *sheet.centre("Obrigado e volte sempre!"),
    ]
    roll = Roll(tuple(lines), 44, scale=1.3, paper=(250, 244, 214), ink=(52, 50, 70))
    return Sample("br-hardware-discount.jpg", receipt, roll, Scan(turn_deg=-0.6))
