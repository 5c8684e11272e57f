"""Contacts: the shop's address, telephone and tax number, and the receipt number."""

import re
from collections.abc import Sequence
from itertools import product
from typing import Final

from worker.reader.layout import Row
from worker.reader.merchant import is_address

_TEL: Final = re.compile(
    r"\b(tel(efon|ephone|p|f)?|t[ée]l|te1|phone|ph|call|contact)\b[\s.:#-]*(no\b)?[\s.:#-]*(?P<number>\+?[\d(][\d\s()/.-]{6,18}\d)",
    re.IGNORECASE,
)
_BARE_TEL: Final = re.compile(r"^[^\w(]*(?P<number>(\([2-9]\d{2}\)|\b[2-9]\d{2}[-. /])[-. ]?\d{3}[-. ]\d{4})\b\W*$")
_TAX_ID: Final = re.compile(
    r"\b(gst|vat|ust|mwst|uid|steuer(?:nr)?|st|sst|tax|abn|cif|nif|nit|rfc|cnpj|cuit|cvr|org|tin|trn|gstin|"
    r"p\.?\s?iva|partita iva|siret|tva|btw|kvk|pan|npwp)\b"
    r"[\s.:#-]*((reg(istration)?|id|ident|idnr|nr|no|number|num|nummer)\b[\s.:#-]*){0,3}\(?\s?(?P<number>(?-i:[A-Z]{0,3}\s?-?\d[\dA-Z./-]*(\s[A-Z\d./-]*\d[A-Z\d./-]*){0,4}))",
    re.IGNORECASE,
)
_TAX_ID_ALONE: Final = re.compile(
    r"\b(?P<number>CHE-?\d{3}\.\d{3}\.\d{3}( (MWST|TVA|IVA)\b)?|DE ?\d{3} ?\d{3} ?\d{3}|ATU ?\d{8}|"
    r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}|\d{2}[A-Z]{5}\d{4}[A-Z]\d[A-Z\d]{2})\b"
)
_OWN_NUMBER: Final = re.compile(
    r"\b(receipt|invoice|inv|bill|nfc?-?e|bon|beleg|ticket|check|chk|slip|documento|doc|trans(action)?|order|or(?=\s?#)|kvitto|bilag|factura|facture|fact|rechnung(s)?|quittung|folio|voucher)(?![^\W\d_])(\s+simplificada)?"
    r"[\s.:#-]*((n[°º]|no|nr|num|number|id|nummer|n)(?!\w)[\s.:#-]*|[#:]|(?=\s*[A-Z]{0,4}-?\d{2,}))\s*(?P<number>[A-Z\d][A-Z\d/.-]{1,24})",
    re.IGNORECASE,
)
_NUMBER_ALONE: Final = re.compile(
    r"^\W*(n[uú]mero|no|nr|n°|nº)[\s.:]+(?P<number>[A-Z\d][A-Z\d/.-]{3,24})", re.IGNORECASE
)
_MAX_ADDRESS_ROWS: Final = 5
_NUMBERED: Final = re.compile(r"^\W*\d{1,5}[a-z]?[\s,]+[^\W\d_]{2}[^\d:]*$", re.IGNORECASE)
"""A house number and words: a street, if the rest of an address follows."""
_DAY: Final = re.compile(r"\b(19|20)\d{2}-\d{2}-\d{2}\b|\b\d{1,2}[./]\d{1,2}[./](\d{4}|\d{2})\b")
_STUCK: Final = re.compile(r"(?<=[a-zäöüß]{3})(?=\d)")


def address(rows: Sequence[Row], name_rows: Sequence[int]) -> str | None:
    """Return the first run of address lines in the head, joined by commas."""
    start = max(name_rows, default=-1) + 1
    found: list[str] = []
    above = ""
    for row in rows[start : start + 10]:
        text = _TEL.sub("", row.text).strip(" ,;")
        if is_address(text) and not _TAX_ID.search(text) and not _DAY.search(text):
            if not found and _NUMBERED.match(above):
                found.append(above)
            found.append(_STUCK.sub(" ", re.sub(r"\s{2,}", " ", text)))
        elif found:
            break
        above = text
        if len(found) == _MAX_ADDRESS_ROWS:
            break
    return ", ".join(part.rstrip(",. ") for part in found) or None


def phone(rows: Sequence[Row]) -> str | None:
    """Return the first telephone number, as printed."""
    for pattern in (_TEL, _BARE_TEL):
        for row in rows:
            match = pattern.search(row.text)
            if match and 7 <= sum(map(str.isdigit, match["number"])) <= 15:
                return re.sub(r"\s+", " ", match["number"]).strip(" -./")
    return None


def tax_id(rows: Sequence[Row]) -> str | None:
    """Return the first number after the name of a tax or register, as printed."""
    for pattern, row in product((_TAX_ID, _TAX_ID_ALONE), rows):
        match = pattern.search(row.text)
        if match and sum(map(str.isdigit, match["number"])) >= 7 and not re.search(r"\d[.,]\d{2}\b", match["number"]):
            return re.split(r"\s{2,}", match["number"].strip())[0].strip(" -./")
    return None


def receipt_number(rows: Sequence[Row]) -> str | None:
    """Return the number of the receipt itself."""
    for pattern, row in product((_OWN_NUMBER, _NUMBER_ALONE), rows):
        match = pattern.search(row.text)
        if match and any(map(str.isdigit, match["number"])):
            return match["number"].strip("-/")
    return None
