"""Payout files: CSV for people, ISO 20022 pain.001.001.09 for banks. Pure.

Names come from people and are hostile until shown otherwise. XML is built as a tree, never as text, from the characters
that banks exchange (EPC217-08: Latin letters, digits, and ``/ - ? : ( ) . , ' +`` and space); anything else becomes its
base letter or a dot. A CSV cell that a spreadsheet would take for a formula (OWASP, CSV injection) is led by a quote.
"""

import csv
import io
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from marketplace.pricing import EXPONENTS

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
MAX_NAME: Final = 70
MAX_ID: Final = 35
_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-?:().,'+ ")
_FORMULA: Final = frozenset("=+-@\t\r\n|%")
_SPELLED: Final = {"ß": "ss", "Æ": "AE", "æ": "ae", "Ø": "O", "ø": "o", "Œ": "OE", "œ": "oe", "Ł": "L", "ł": "l"}


@dataclass(frozen=True, slots=True)
class Party:
    """Who pays or is paid. ``bic`` may be empty."""

    name: str
    iban: str
    bic: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """``id``: at most 35 characters, unique in its file; comes back in the bank's answer. ``text``: for the payee."""

    id: str
    to: Party
    amount_minor: int
    currency: str
    text: str


class BadTransfer(ValueError):
    """A file that no bank would take."""


def pain_001(message_id: str, payer: Party, transfers: Sequence[Transfer], at: datetime) -> bytes:
    """One message with a payment block for each currency. Raises BadTransfer."""
    _check(message_id, transfers)
    ET.register_namespace("", NAMESPACE)
    root = ET.Element(f"{{{NAMESPACE}}}Document")
    message = _child(root, "CstmrCdtTrfInitn")
    header = _child(message, "GrpHdr")
    _child(header, "MsgId", message_id)
    _child(header, "CreDtTm", at.isoformat(timespec="seconds"))
    _child(header, "NbOfTxs", str(len(transfers)))
    _child(header, "CtrlSum", _sum(transfers))
    _child(_child(header, "InitgPty"), "Nm", bank_text(payer.name, MAX_NAME))
    for currency in sorted({transfer.currency for transfer in transfers}):
        _block(message, message_id, payer, [one for one in transfers if one.currency == currency], at)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def _block(message: ET.Element, message_id: str, payer: Party, transfers: Sequence[Transfer], at: datetime) -> None:
    block, currency = _child(message, "PmtInf"), transfers[0].currency
    _child(block, "PmtInfId", f"{message_id[: MAX_ID - 4]}-{currency}")
    _child(block, "PmtMtd", "TRF")
    _child(block, "NbOfTxs", str(len(transfers)))
    _child(block, "CtrlSum", _sum(transfers))
    if currency == "EUR":
        _child(_child(_child(block, "PmtTpInf"), "SvcLvl"), "Cd", "SEPA")
    _child(_child(block, "ReqdExctnDt"), "Dt", at.date().isoformat())
    _child(_child(block, "Dbtr"), "Nm", bank_text(payer.name, MAX_NAME))
    _account(block, "DbtrAcct", payer.iban)
    _agent(block, "DbtrAgt", payer.bic, required=True)
    _child(block, "ChrgBr", "SLEV" if currency == "EUR" else "SHAR")
    for transfer in transfers:
        one = _child(block, "CdtTrfTxInf")
        names = _child(one, "PmtId")
        _child(names, "InstrId", transfer.id)
        _child(names, "EndToEndId", transfer.id)
        amount = _child(_child(one, "Amt"), "InstdAmt", decimal(transfer.amount_minor, currency))
        amount.set("Ccy", currency)
        _agent(one, "CdtrAgt", transfer.to.bic, required=False)
        _child(_child(one, "Cdtr"), "Nm", bank_text(transfer.to.name, MAX_NAME))
        _account(one, "CdtrAcct", transfer.to.iban)
        _child(_child(one, "RmtInf"), "Ustrd", bank_text(transfer.text, 140))


def as_csv(transfers: Sequence[Transfer]) -> bytes:
    """UTF-8, one transfer a line, every cell quoted."""
    out = io.StringIO()
    rows = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    rows.writerow(["id", "name", "iban", "bic", "amount", "currency", "text"])
    for one in transfers:
        amount = decimal(one.amount_minor, one.currency)
        cells = [one.id, one.to.name, one.to.iban, one.to.bic, amount, one.currency, one.text]
        rows.writerow([cell(text) for text in cells])
    return out.getvalue().encode()


def cell(text: str) -> str:
    """A cell that no spreadsheet computes, on one line."""
    plain = "".join(" " if unicodedata.category(sign) in ("Cc", "Cf", "Zl", "Zp") else sign for sign in text)
    first = unicodedata.normalize("NFKC", plain.lstrip()[:1])[:1]
    return f"'{plain}" if first and first in _FORMULA else plain


def bank_text(text: str, most: int) -> str:
    """``text`` in the letters that banks exchange, never empty."""
    spelled = "".join(_SPELLED.get(sign, sign) for sign in text)
    bare = "".join(sign for sign in unicodedata.normalize("NFKD", spelled) if not unicodedata.combining(sign))
    plain = "".join(sign if sign in _LETTERS else "." for sign in bare)
    return " ".join(plain.split())[:most].strip() or "-"


def decimal(minor: int, currency: str) -> str:
    """Minor units as the larger unit: ``1990`` cents as ``19.90``. Raises BadTransfer."""
    if currency not in EXPONENTS:
        raise BadTransfer(f"no such currency: {currency}")
    digits = EXPONENTS[currency]
    if minor < 0:
        raise BadTransfer("an amount below zero")
    whole, part = divmod(minor, 10**digits)
    return f"{whole}.{part:0{digits}d}" if digits else str(whole)


def _check(message_id: str, transfers: Sequence[Transfer]) -> None:
    if not transfers:
        raise BadTransfer("nothing to transfer")
    names = [message_id, *(one.id for one in transfers)]
    if any(not 1 <= len(name) <= MAX_ID or set(name) - _LETTERS for name in names) or len(set(names)) != len(names):
        raise BadTransfer(f"ids are unique, of 1 to {MAX_ID} plain characters")
    for one in transfers:
        if type(one.amount_minor) is not int or not 0 < one.amount_minor <= 10**12:
            raise BadTransfer("an amount is 1 to 10^12 minor units")
        decimal(one.amount_minor, one.currency)


def _sum(transfers: Sequence[Transfer]) -> str:
    """The control sum: amounts added as numbers, whatever their currency (ISO 20022, ControlSum)."""
    cents = sum(one.amount_minor * 10 ** (2 - EXPONENTS[one.currency]) for one in transfers)
    return f"{cents // 100}.{cents % 100:02d}"


def _child(parent: ET.Element, name: str, text: str | None = None) -> ET.Element:
    child = ET.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    child.text = text
    return child


def _account(parent: ET.Element, name: str, iban: str) -> None:
    _child(_child(_child(parent, name), "Id"), "IBAN", iban)


def _agent(parent: ET.Element, name: str, bic: str, *, required: bool) -> None:
    if bic:
        _child(_child(_child(parent, name), "FinInstnId"), "BICFI", bic)
    elif required:
        _child(_child(_child(_child(parent, name), "FinInstnId"), "Othr"), "Id", "NOTPROVIDED")
