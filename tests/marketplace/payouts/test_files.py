"""Payout files: what banks and spreadsheets read, whatever people call themselves."""

import csv
import io
import xml.etree.ElementTree as ET
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.payouts.files import MAX_NAME, NAMESPACE, BadTransfer, Party, Transfer, as_csv, cell, decimal, pain_001
from marketplace.payouts.iban import BadIban, bic, iban

AT = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
PAYER = Party("Vouch Ltd", "DE89370400440532013000", "COBADEFFXXX")
HOSTILE = [
    "<Nm>&amp;</Nm>", "]]><!ENTITY x>", "=HYPERLINK(\"http://evil\")", "+1+1", "-2", "@SUM(A1)", "\t=1",
    "Zoë Müller-Łąka", "王小明", "a\r\nb\x00c", "'; DROP TABLE", "\u202eevil", "x" * 300, "＝1+1", " =1", "|calc",
    "%0A=1", "",
]  # fmt: skip
ALLOWED = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-?:().,'+ ")


def transfer(number=1, name="Sam Speaker", **change):
    fields = {"id": f"VOUCH-1-{number}", "to": Party(name, "GB82WEST12345698765432", ""), "amount_minor": 1_990,
              "currency": "EUR", "text": "Vouch payout"}  # fmt: skip
    return Transfer(**{**fields, **change})


def tree(*transfers):
    return ET.fromstring(pain_001("VOUCH-1", PAYER, transfers, AT))  # noqa: S314 - our own


def names(element):
    return [child.tag.removeprefix(f"{{{NAMESPACE}}}") for child in element]


def at(element, path):
    found = element.findall("/".join(f"{{{NAMESPACE}}}{part}" for part in path.split("/")))
    return [one.text for one in found]


def test_the_message_has_the_structure_of_pain_001_001_09():
    """Order and occurrence of elements as the schema's sequences have them (ISO 20022, pain.001.001.09)."""
    root = tree(transfer(1), transfer(2, currency="JPY", amount_minor=500), transfer(3))
    assert root.tag == f"{{{NAMESPACE}}}Document"
    (message,) = root
    assert names(message) == ["GrpHdr", "PmtInf", "PmtInf"]
    assert names(message[0]) == ["MsgId", "CreDtTm", "NbOfTxs", "CtrlSum", "InitgPty"]
    euro, yen = message[1], message[2]
    assert names(euro) == [
        "PmtInfId", "PmtMtd", "NbOfTxs", "CtrlSum", "PmtTpInf", "ReqdExctnDt", "Dbtr", "DbtrAcct", "DbtrAgt", "ChrgBr",
        "CdtTrfTxInf", "CdtTrfTxInf",
    ]  # fmt: skip
    assert names(yen)[4] == "ReqdExctnDt"
    assert names(euro[-1]) == ["PmtId", "Amt", "Cdtr", "CdtrAcct", "RmtInf"]
    assert names(tree(transfer(to=Party("x", "DE89370400440532013000", "COBADEFF")))[0][1][-1])[2] == "CdtrAgt"
    assert at(message, "GrpHdr/NbOfTxs") + at(message, "GrpHdr/CtrlSum") == ["3", "539.80"]
    assert at(message, "PmtInf/NbOfTxs") == ["2", "1"]
    assert at(message, "PmtInf/CdtTrfTxInf/Amt/InstdAmt") == ["19.90", "19.90", "500"]
    assert at(message, "PmtInf/CdtTrfTxInf/CdtrAcct/Id/IBAN") == ["GB82WEST12345698765432"] * 3
    assert at(message, "PmtInf/ReqdExctnDt/Dt") == ["2026-11-27"] * 2
    assert at(message, "PmtInf/DbtrAgt/FinInstnId/BICFI") == ["COBADEFFXXX"] * 2


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_a_name(name):
    root = tree(transfer(name=name, text=name))
    (found,) = at(root, "CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf/Cdtr/Nm")
    assert 1 <= len(found) <= MAX_NAME
    assert set(found) <= ALLOWED
    assert len(root.findall(f".//{{{NAMESPACE}}}Nm")) == 3
    ((_, shown, *_),) = list(csv.reader(io.StringIO(as_csv([transfer(name=name)]).decode())))[1:]
    assert not shown.lstrip() or shown.lstrip()[0] not in "=+-@\t\r|%＝"


@given(st.text(max_size=80))
def test_no_name_breaks_a_file(name):
    tree(transfer(name=name))
    rows = list(csv.reader(io.StringIO(as_csv([transfer(name=name)]).decode(), newline="")))
    assert [len(row) for row in rows] == [7, 7]
    assert "\n" not in cell(name)


@pytest.mark.parametrize(
    "change", [{"amount_minor": 0}, {"amount_minor": -1}, {"amount_minor": 10**18}, {"amount_minor": 1.5},
               {"amount_minor": True}, {"currency": "XXX"}, {"id": ""}, {"id": "x" * 36}, {"id": "a<b"},
               {"id": "VOUCH-1"}]
)  # fmt: skip
def test_a_transfer_no_bank_would_take_is_refused(change):
    with pytest.raises(BadTransfer):
        tree(transfer(**change))


def test_a_file_without_or_with_doubled_transfers_is_refused():
    for transfers in ([], [transfer(), transfer()]):
        with pytest.raises(BadTransfer):
            tree(*transfers)


def test_amounts_are_written_by_their_currency():
    assert [decimal(5, "EUR"), decimal(1_990, "USD"), decimal(7, "JPY"), decimal(0, "EUR")] == [
        "0.05",
        "19.90",
        "7",
        "0.00",
    ]
    with pytest.raises(BadTransfer):
        decimal(-1, "EUR")


@pytest.mark.parametrize("text", ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "nl91abna0417164300"])
def test_an_iban_is_taken(text):
    assert " " not in iban(text)


@pytest.mark.parametrize(
    "text", ["", "DE89370400440532013001", "DE8937040044053201300", "US89370400440532013000", "<DE89>", "DE89" * 9]
)
def test_what_is_no_iban_is_refused(text):
    with pytest.raises(BadIban):
        iban(text)


def test_a_bic_is_checked():
    assert (bic(""), bic("cobadeff")) == ("", "COBADEFF")
    for text in ("COBADE", "<xml>", "COBADEFF1", "1OBADEFF"):
        with pytest.raises(BadIban):
            bic(text)
