import datetime as dt
from decimal import Decimal

import pytest

from tests.support.page import typed
from worker.reader.fields import extract

TODAY = dt.date(2026, 11, 23)
TILLS = """
33.90
SHOP
Tea  33.90
SUBTOTAL  33.90
GST 6% (INCL)  1.92
Round  0.00
TOTAL DUE  33.90
CASH  50.00
CHANGE  16.10
---
9.00
KEDAI
A  9.00
Total Amount :  9.00
Discount :  0.00
Paid Amount :  10.00
Change :  1.00
---
116.60
REST
X  100.00
Sub Total  100.00
Service Charge 10%  10.00
GST 6%  6.60
Rounding  0.00
Total  116.60
---
106.00
REST
X  100.00
Total (Excl GST)  100.00
GST  6.00
Total (Incl GST)  106.00
Rounding Adj  0.00
TOTAL AMOUNT  106.00
GST Summary  Amount  Tax
SR 6%  100.00  6.00
---
12.34
KROGER
MILK  5.00 F
EGGS  7.00 F
TAX  0.34
**** BALANCE  12.34
VISA  12.34
CHANGE  0.00
---
21.40
WALMART
A  8.00
B  12.00
SUBTOTAL  20.00
TAX 1  7.000 %  1.40
TOTAL  21.40
DEBIT TEND  21.40
CHANGE DUE  0.00
---
50.12
COSTCO
A  40.00
B  8.00
SUBTOTAL  48.00
TAX  2.12
**** TOTAL  50.12
VISA  50.12
CHANGE  0.00
TOTAL NUMBER OF ITEMS SOLD =  2
---
12.00
PUB
Ale  12.00
BALANCE DUE  £12.00
CASH  £20.00
CHANGE  £8.00
---
30.00
GAS
PUMP# 3
REGULAR  10.000G
PRICE/GAL  $3.000
FUEL SALE  $30.00
---
30.00
REST
Steak  28.00
Tax  2.00
AMOUNT  $30.00
TIP  ______
TOTAL  ______
---
30.00
REST
Steak  28.00
Subtotal  28.00
Tax  2.00
Total  30.00
Suggested Tip
18%  5.40
20%  6.00
22%  6.60
---
21.20
SHOP
A  21.20
TOTAL RM  21.20
CASH  50.00
CHANGE  28.80
TOTAL DISCOUNT  2.00
TOTAL SAVINGS  2.00
---
8.20
RESTORAN
Mee  5.00
Teh  3.20
Total Qty  2
Total  8.20
Cash  10.00
Balance  1.80
---
45.00
SHOP
A  45.00
Nett Total  45.00
Payment
Cash  50.00
Change  5.00
---
15.50
SHOP
A  15.48
Total  15.48
Rounding  0.02
Net  15.50
Cash  20.00
Change  4.50
---
17.60
EDEKA
A  10,00
B  7,60
SUMME EUR  17,60
Given BAR  20,00
Rückgeld  2,40
MwSt-Satz  Netto  MwSt  Brutto
7%  16,45  1,15  17,60
---
25.90
LIDL
A  5,90 A
B  20,00 B
zu zahlen  25,90
Karte  25,90
MWST%  MWST  + Netto  = Brutto
A 7%  0,39  5,51  5,90
B 19%  3,19  16,81  20,00
Summe  3,58  22,32  25,90
---
1250
RAMEN
Ramen  850
Beer  400
小計  1,250
合計  ¥1,250
お預り  ¥2,000
お釣り  ¥750
---
64.20
HOTEL
Room  60.00
VAT 7%  4.20
Grand Total  64.20
Amount Tendered  70.00
Change  5.80
---
37.45
CVS
A  35.00
SUBTOTAL  35.00
TAX 7%  2.45
TOTAL  37.45
CHARGE  37.45
VISA  xxxxxxxxxxxx1234
---
120.00
TAXI
Fare  $100.00
Extras  $20.00
Total  $120.00
---
6.30
PARKING
Parking Fee  RM6.30
Paid  RM10.00
Change  RM3.70
---
100.00
SHELL
V-Power 97  RM 100.00
Total  RM  100.00
Cash  RM  100.00
Total Gross C  RM  100.00
Relief GST C  RM  0.00
---
55.10
MART
A  60.00
DISC 10%  -6.00
SUBTOTAL  54.00
TAX  1.10
TOTAL  55.10
CARD  55.10
YOU SAVED  6.00
---
7.95
CAFE
Latte  4.50
Muffin  3.45
Eat In Total  £7.95
Visa  £7.95
VAT  1.33
---
18.00
SHOP
A  20.00
Total  20.00
Voucher  -2.00
Total to pay  18.00
Cash  20.00
Change  2.00
---
42.60
SUPER
A  42.60
TOTAL A PAGAR  42,60
ENTREGADO  50,00
CAMBIO  7,40
---
12.90
BAR
Caffe  1,10
Pizza  11,80
TOTALE COMPLESSIVO  12,90
di cui IVA  1,17
Pagamento contante  20,00
Resto  7,10
---
33.00
JUMBO
A  33,00
Totaal  33,00
Pinnen  33,00
BTW 9%  30,28  2,72
---
41.77
GRILL
Burger  38.50
Subtotal  38.50
Tax  3.27
Total  41.77
Suggested Tip:
15%  (Tip $5.78  Total $47.55)
18%  (Tip $6.93  Total $48.70)
20%  (Tip $7.70  Total $49.47)
---
33.20
CANTINA
Tacos  30.00
Subtotal  30.00
Tax  3.20
Total  33.20
For your convenience
18% Gratuity  5.40
Total  38.60
20% Gratuity  6.00
Total  39.20
---
18.40
GOLDEN POND
DUMPLING  6.95
CHOW FUN  9.95
DISHES TTL  16.90
TAX  1.50
TOTAL  18.40
---
40.31
GRILL
Bulgogi  36.98
Subtotal  36.98
Tax  3.33
Total  40.31
Gratuity Not Included
15% = 5.55
18% = 6.66
---
28.95
CAFE
MAC  28.95
Amt Due
  € 28.9 5
NET TTL  27.31
---
24.85
ALE HOUSE
Fish  9.95
Pie  8.50
2 Bitter  6.40
Bar Total  24.85
VAT @15%  3.24
Net Total  21.61
---
41.45
CARE STORES
SCISSORS  41.43
SUBTOTAL (QTY 4)  RM41.43
ROUNDING  RM0.02
SUBTOTAL (QTY 4)  RM41.45
CASH  RM51.50
CHANGE CASH  RM10.05
Rate  Net(RM)  GST(RM)  Total(RM)
S 6.00%  39.09  2.34  41.43
---
12.60
KIOSK
Apple  5.00
Pear  7.60
  12.60
---
5.00
KEDAI
Kopi  1.80
Roti  3.20
  5.00
TOTAL
CASH  10.00
CHANGE  5.00
---
10.00
DELI
Nasi  8.00
Teh  2.00
TotalAmt:RM10.00
PaidAmt:RM20.00
ChangeAmt:RM10.00
"""
"""Sums as tills of many countries print them, each after the correct total."""


@pytest.mark.parametrize("till", TILLS.strip().split("\n---\n"), ids=lambda till: till.split("\n")[1])
def test_the_total_is_found_among_the_sums(till: str) -> None:
    """The amount to pay is found among any labels and other sums."""
    right, _, page = till.partition("\n")
    assert extract([typed(page)], today=TODAY).receipt.total == Decimal(right)


def test_a_lone_subtotal_has_low_confidence() -> None:
    """Without a labelled total the subtotal has low confidence: the total below it may not have been read."""
    page = "CAFE\nSoup  4.00\nSalad  6.00\nSubtotal  10.00\n"
    sure = extract([typed(page + "Visa  10.00")], today=TODAY).confidence["total"]
    assert extract([typed(page)], today=TODAY).confidence["total"] < 0.8 <= sure
