"""Receipts from Asia: added service and goods taxes, a tax in two halves, amounts without cents."""

import datetime as dt
from decimal import Decimal

from worker.receipts.receipt import Merchant, Payment, Receipt
from worker.workbench.local.samples.layout import Numbers, Sample, Sheet, gap, item, stroke, sum_of, tax_beside
from worker.workbench.local.samples.paper import Roll
from worker.workbench.local.samples.photo import Scan

POINT = Numbers(thousands=",", decimal=".")
RUPIAH = Numbers(thousands=".", decimal=",", places=0)


def kopitiam() -> Sample:
    """Return a receipt from Malaysia: added service tax, a rounding of zero, cash and change."""
    items = (
        item("NASI LEMAK AYAM", quantity="2", unit_price="11.50"),
        item("MEE GORENG MAMAK", quantity="1", unit_price="9.00"),
        item("ROTI CANAI", quantity="3", unit_price="1.80"),
        item("TEH TARIK", quantity="3", unit_price="2.70"),
        item("LIMAU AIS", quantity="1", unit_price="2.00"),
    )
    subtotal, given = sum_of(items), Decimal("100.00")
    tax = tax_beside("Service Tax", "6", subtotal)
    total = subtotal + (tax.amount or 0)
    receipt = Receipt(
        merchant=Merchant(
            name="Restoran Daun Pandan Sdn Bhd",
            address="No. 21, Jalan Bukit Senja 3/2, 47810 Petaling Jaya, Selangor",
            phone="03-5550 1284",
            tax_id="W10-1808-32001457",
        ),
        purchase_date=dt.date(2025, 11, 9),
        purchase_time="13:27",
        currency="MYR",
        items=items,
        subtotal=subtotal,
        taxes=(tax,),
        total=total,
        payment=Payment(method="cash"),
        receipt_number="CS-0081526",
        country="MY",
        language="en",
    )
    sheet = Sheet(40)
    lines = [
        *sheet.centre("RESTORAN DAUN PANDAN", "SDN BHD", size=1.35, bold=True),
        *sheet.centre("NO. 21, JALAN BUKIT SENJA 3/2,", "47810 PETALING JAYA, SELANGOR.", "TEL: 03-5550 1284"),
        *sheet.centre("SST ID: W10-1808-32001457"),
        *gap(),
        *sheet.centre("TAX INVOICE", bold=True),
        *gap(),
        *sheet.table((0, "Invoice No.", "l"), (12, ": CS-0081526", "l")),
        *sheet.table((0, "Date", "l"), (12, ": 09-11-2025  13:27", "l")),
        *sheet.table((0, "Cashier", "l"), (12, ": AISYAH", "l")),
        *stroke(),
        *sheet.table((0, "Item", "l"), (24, "Qty", "r"), (32, "Price", "r"), (40, "RM", "r"), bold=True),
    ]
    for line in items:
        lines += sheet.table(
            (0, line.description or "", "l"),
            (24, str(line.quantity), "r"),
            (32, POINT(line.unit_price), "r"),
            (40, POINT(line.amount), "r"),
        )
    lines += [
        *stroke(),
        *sheet.row("Subtotal (Excl. SST)", POINT(subtotal), indent=10),
        *sheet.row("Service Tax 6%", POINT(tax.amount), indent=10),
        *sheet.row("Rounding Adj.", "0.00", indent=10),
        *sheet.row("TOTAL RM", POINT(total), indent=10, size=1.3, bold=True),
        *sheet.row("Cash", POINT(given), indent=10),
        *sheet.row("Change", POINT(given - total), indent=10),
        *gap(1),
        *sheet.centre("***** TERIMA KASIH *****", "PLEASE COME AGAIN"),
    ]
    roll = Roll(tuple(lines), 40, face="sans", scale=1.35, ink=(38, 30, 74), paper=(238, 240, 232), grain=2.2)
    return Sample("my-restaurant-sst.jpg", receipt, roll, Scan(turn_deg=-0.7))


def courtyard() -> Sample:
    """Return a receipt from India: central and state tax of 2.5 % each, paid by UPI."""
    items = (
        item("PANEER TIKKA", quantity="1", unit_price="320.00"),
        item("DAL MAKHANI", quantity="1", unit_price="260.00"),
        item("GARLIC NAAN", quantity="4", unit_price="65.00"),
        item("JEERA RICE", quantity="1", unit_price="180.00"),
        item("SWEET LASSI", quantity="2", unit_price="90.00"),
    )
    subtotal = sum_of(items)
    taxes = (tax_beside("CGST", "2.5", subtotal), tax_beside("SGST", "2.5", subtotal))
    receipt = Receipt(
        merchant=Merchant(
            name="Saffron Courtyard",
            address="Lane 6, Amrut Park, Pune 411001",
            phone="020 5550 1136",
            tax_id="27AAKFS4519Q1Z8",
        ),
        purchase_date=dt.date(2026, 7, 18),
        purchase_time="13:41",
        currency="INR",
        items=items,
        subtotal=subtotal,
        taxes=taxes,
        total=subtotal + sum((tax.amount or Decimal(0) for tax in taxes), Decimal(0)),
        payment=Payment(method="upi"),
        receipt_number="SC/26-27/03382",
        country="IN",
        language="en",
    )
    sheet = Sheet(38)
    lines = [
        *sheet.centre("SAFFRON COURTYARD", size=1.5, bold=True),
        *sheet.centre("Family Restaurant - Pure Veg", "Lane 6, Amrut Park, Pune 411001", "Ph: 020 5550 1136"),
        *sheet.centre("GSTIN: 27AAKFS4519Q1Z8"),
        *sheet.rule(),
        *sheet.row("Bill No: SC/26-27/03382", "Tbl: 11"),
        *sheet.row("Date: 18-Jul-2026", "13:41"),
        *sheet.rule(),
        *sheet.table((0, "Item", "l"), (21, "Qty", "r"), (29, "Rate", "r"), (38, "Amount", "r")),
        *sheet.rule(),
    ]
    for line in items:
        lines += sheet.table(
            (0, line.description or "", "l"),
            (21, str(line.quantity), "r"),
            (29, POINT(line.unit_price), "r"),
            (38, POINT(line.amount), "r"),
        )
    lines += [*sheet.rule(), *sheet.row("Sub Total", POINT(subtotal))]
    for tax in taxes:
        lines += sheet.row(f"{tax.description} @ {tax.rate}%", POINT(tax.amount))
    lines += [
        *sheet.rule("="),
        *sheet.row("GRAND TOTAL", f"Rs. {POINT(receipt.total)}", size=1.3, bold=True),
        *sheet.rule("="),
        *sheet.row("Paid by UPI", POINT(receipt.total)),
        *sheet.centre("Thank you, visit again!"),
    ]
    return Sample("in-restaurant-gst.jpg", receipt, Roll(tuple(lines), 38, scale=1.35), Scan(turn_deg=0.3))


def coffee() -> Sample:
    """Return a receipt from Indonesia: amounts without decimals, with a point between the thousands."""
    items = (
        item("Kopi Susu Aren", "48000", quantity="2", unit_price="24000"),
        item("Pisang Goreng", "22000", quantity="1", unit_price="22000"),
        item("Roti Bakar Keju", "28000", quantity="1", unit_price="28000"),
    )
    subtotal = sum_of(items)
    tax = tax_beside("PB1", "10", subtotal)
    tax = tax.model_copy(update={"amount": (tax.amount or Decimal(0)).quantize(Decimal(1))})
    receipt = Receipt(
        merchant=Merchant(
            name="Warung Kopi Senja", address="Jl. Melati Raya No. 17, Bandung 40115", phone="022-555-0148"
        ),
        purchase_date=dt.date(2026, 5, 21),
        purchase_time="16:08",
        currency="IDR",
        items=items,
        subtotal=subtotal,
        taxes=(tax,),
        total=subtotal + (tax.amount or 0),
        payment=Payment(method="cash"),
        receipt_number="WKS-260521-064",
        country="ID",
        language="id",
    )
    sheet = Sheet(32)
    lines = [
        *sheet.centre("WARUNG KOPI SENJA", size=1.4, bold=True),
        *sheet.centre("Jl. Melati Raya No. 17", "Bandung 40115", "Telp. 022-555-0148"),
        *sheet.rule("="),
        *sheet.row("21/05/2026 16:08", "Kasir: Rini"),
        *sheet.left("No. WKS-260521-064"),
        *sheet.rule(),
    ]
    for line in items:
        lines += sheet.left(line.description or "")
        lines += sheet.row(f"  {line.quantity} x {RUPIAH(line.unit_price)}", RUPIAH(line.amount))
    lines += [
        *sheet.rule(),
        *sheet.row("Subtotal", RUPIAH(subtotal)),
        *sheet.row("PB1 10%", RUPIAH(tax.amount)),
        *sheet.row("TOTAL", f"Rp {RUPIAH(receipt.total)}", size=1.4, bold=True),
        *sheet.row("Tunai", "Rp 110.000"),
        *sheet.row("Kembali", f"Rp {RUPIAH(Decimal(110000) - (receipt.total or 0))}"),
        *sheet.rule("="),
        *sheet.centre("Terima kasih", "WiFi: senja / kopipagi"),
    ]
    return Sample("id-coffee-rupiah.jpg", receipt, Roll(tuple(lines), 32, scale=1.5), Scan(turn_deg=-0.4))
