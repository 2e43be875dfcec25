"""IBAN (ISO 13616) and BIC (ISO 9362): structure and check digits. Pure."""

import re
from typing import Final

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_BIC = re.compile(r"[A-Z]{6}[A-Z2-9][A-NP-Z0-9]([A-Z0-9]{3})?")
LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "ES": 24, "FI": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24,
    "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29,
    "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
"""How long each country's IBAN is; another country has none."""


class BadIban(ValueError):
    """Not an IBAN, or with wrong check digits."""


def iban(text: str) -> str:
    """Without spaces, in capitals. Raises BadIban."""
    found = text.replace(" ", "").upper()
    if not _IBAN.fullmatch(found) or LENGTHS.get(found[:2]) != len(found):
        raise BadIban("not an IBAN of a known country and length")
    if int("".join(str(int(sign, 36)) for sign in found[4:] + found[:4])) % 97 != 1:
        raise BadIban("the IBAN's check digits are wrong")
    return found


def bic(text: str) -> str:
    """In capitals; empty stays empty. Raises BadIban."""
    found = text.strip().upper()
    if found and not _BIC.fullmatch(found):
        raise BadIban("not a BIC")
    return found
