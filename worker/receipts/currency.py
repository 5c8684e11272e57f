"""Currencies: the codes of ISO 4217 that are legal tender, their decimals, signs and cash rounding."""

from decimal import Decimal
from typing import Final

_TWO_DECIMALS = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE
CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR
KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB
PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY
TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
BGN DEM FRF ITL ESP NLG BEF ATS IEP PTE FIM GRD HRK LTL LVL EEK SKK SIT MTL CYP ANG
"""
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"

DECIMALS: Final = (
    dict.fromkeys(_TWO_DECIMALS.split(), 2)
    | dict.fromkeys(_NO_DECIMALS.split(), 0)
    | dict.fromkeys(_THREE_DECIMALS.split(), 3)
)
"""Decimals of an amount by currency code. The last line of the first list has codes that occur on old receipts only."""

SIGNS: Final = {
    "€": "EUR", "£": "GBP", "₹": "INR", "₩": "KRW", "฿": "THB", "₫": "VND", "₱": "PHP", "₪": "ILS", "₺": "TRY",
}  # fmt: skip
"""Signs of exactly one currency each. $ and ¥ are missing because several currencies share them."""

_CASH_STEP = {
    "AUD": "0.05", "CAD": "0.05", "CHF": "0.05", "CZK": "1", "DKK": "0.50", "EUR": "0.05", "HUF": "5",
    "IDR": "100", "ILS": "0.10", "INR": "1", "MYR": "0.05", "NOK": "1", "NZD": "0.10", "PHP": "0.25", "SEK": "1",
    "SGD": "0.05", "THB": "0.25", "VND": "500", "ZAR": "0.10",
}  # fmt: skip


def rounding_tolerance(currency: str | None) -> Decimal:
    """Return how far a total may differ from the sum of its parts, in units of `currency` (None: unknown).

    A sum paid in cash is rounded to the smallest coin. In addition, each tax is rounded to the cent separately.
    """
    step = Decimal(_CASH_STEP.get(currency or "", "0.05"))
    cents = Decimal(1).scaleb(-DECIMALS.get(currency or "", 2))
    return max(step / 2, 2 * cents)


def with_decimals(amount: Decimal, currency: str | None) -> Decimal:
    """Return `amount` with at least the decimals of `currency` (None: two): DynamoDB stores 2.00 as 2."""
    missing = -DECIMALS.get(currency or "", 2)
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent <= missing or len(amount.as_tuple().digits) > 24:
        return amount
    return amount.quantize(Decimal(1).scaleb(missing))
