"""A deletion certificate holds offline, and not when anything in it was changed."""

import copy
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from foundation import keys
from foundation.clock import move_forward
from foundation.errors import VouchError
from foundation.vault import keystore
from foundation.vault.models import VaultKey
from retention import certificates, custody, proofs
from retention.errors import NotDestroyed, NotErased
from tests.retention.factories import SYSTEM, held_by_law, received
from vouch.cli import main

pytestmark = pytest.mark.django_db(transaction=True)


def destroyed(person: Any) -> Any:
    item = received(person(), data=b"sound")
    with pytest.raises(NotDestroyed):
        custody.certificate(item)
    move_forward(timedelta(hours=72))
    custody.sweep()
    return item


def test_a_certificate_says_what_was_destroyed_and_what_it_does_not_prove(person: Any) -> None:
    item = destroyed(person)
    certificate = json.loads(json.dumps(custody.certificate(item)))
    statement = certificates.verify(certificate, keys.public_key("log"))
    assert statement["item"] == str(item.id)
    assert statement["reason"] == "deadline"
    assert statement["does_not_prove"] == list(proofs.LIMITS)
    item.refresh_from_db()
    assert custody.matches(item, b"sound")


def test_it_names_the_key_the_epochs_around_its_erasure_and_what_the_probes_found(person: Any) -> None:
    item = destroyed(person)
    statement = certificates.verify(custody.certificate(item), keys.public_key("log"))
    key = VaultKey.objects.get(id=item.key_id)
    assert statement["key"]["id"] == str(key.id)
    assert statement["key"]["epoch_after"] == key.epoch_after == statement["key"]["epoch_before"] + 1
    assert statement["keystore"] == {"epoch": keystore.current().epoch(), "holds_key": False}
    assert [(probe["present"], probe["versions"]) for probe in statement["storage"]] == [(False, 0)]


def test_every_changed_field_and_a_foreign_key_are_found(person: Any) -> None:
    certificate = custody.certificate(destroyed(person))
    public = keys.public_key("log")
    for field in certificate["statement"]:
        forged = copy.deepcopy(certificate)
        forged["statement"][field] = "something else"
        with pytest.raises(VouchError):
            certificates.verify(forged, public)
    with pytest.raises(VouchError):
        certificates.verify(certificate, keys.public_key("gate"))
    for broken in (
        {},
        {"statement": {}},
        {**certificate, "receipt": None},
        {**certificate, "erasure": None},
        {**certificate, "erasure": certificate["receipt"]},
        {**certificate, "receipt": certificate["erasure"]},
        {**certificate, "signature": "zz"},
        {**certificate, "more": 1},
    ):
        with pytest.raises(VouchError):
            certificates.verify(broken, public)


def test_one_flipped_bit_anywhere_is_found(person: Any) -> None:
    data = json.dumps(custody.certificate(destroyed(person)), separators=(",", ":")).encode()
    public = keys.public_key("log")
    # The key inside is for finding one's way and is not believed: it alone may say anything.
    inside = range(data.index(b'"public_key":"') + 14, data.index(b'"public_key":"') + 14 + 64)
    # Every 5th bit of the file: all of them take a minute, and each byte is still met.
    for position in range(0, len(data) * 8, 5):
        if position // 8 in inside:
            continue
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        try:
            statement = proofs.verify(proofs.load(bytes(flipped)), public)
        except VouchError:
            continue
        pytest.fail(f"bit {position} may be anything: {statement}")


def test_no_certificate_while_the_key_store_still_has_the_key(person: Any) -> None:
    item = received(person())
    folder = keystore.current().folder
    folder.chmod(0o700)
    epoch = folder / "epoch"
    hidden = epoch.rename(folder / "aside")  # the key store is away when the deadline comes
    move_forward(timedelta(hours=72))
    assert custody.sweep() == 1
    hidden.rename(epoch)
    with pytest.raises(NotErased):
        custody.certificate(item)
    from foundation.vault import erasing

    erasing.finish()
    assert certificates.verify(custody.certificate(item), keys.public_key("log"))["key"]["state"] == "destroyed"


def test_what_was_derived_and_ended_alone_says_that_its_key_lives(person: Any) -> None:
    item = received(person())
    child = custody.derive(parent=item, data=b"checkpoint", kind="checkpoint", actor=SYSTEM)
    custody.destroy(item=child, reason="superseded", actor=SYSTEM)
    certificate = custody.certificate(child)
    statement = certificates.verify(certificate, keys.public_key("log"))
    assert statement["key"]["state"] == "active"
    assert statement["does_not_prove"][-1] == proofs.DERIVED_LIMIT


def test_a_hold_that_put_it_off_stands_in_the_certificate(person: Any) -> None:
    item = received(person())
    hold = held_by_law(item, person("operator"), person("operator"), days=5)
    move_forward(timedelta(days=6))
    custody.sweep()
    statement = certificates.verify(custody.certificate(item), keys.public_key("log"))
    assert [one["id"] for one in statement["legal_holds"]] == [str(hold.id)]


def test_it_is_checked_at_a_shell_without_database_or_settings(person: Any, tmp_path: Path, capsys: Any) -> None:
    certificate = custody.certificate(destroyed(person))
    path = tmp_path / "deletion.json"
    path.write_text(json.dumps(certificate))
    public = keys.public_key("log").hex()
    command = [sys.executable, "-m", "vouch.cli", "verify-certificate", str(path), "--public-key", public]
    # No DATABASE_URL, no VOUCH_*: nothing of the platform but its code.
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("INTACT: recording ")
    assert "not found, no version of it" in done.stdout
    assert done.stdout.count("does not prove: ") == len(proofs.LIMITS)
    certificate["statement"]["destroyed_at"] = certificate["statement"]["received_at"]
    path.write_text(json.dumps(certificate))
    assert main(["verify-certificate", str(path), "--public-key", public]) == 1
    assert capsys.readouterr().out.startswith("BROKEN: ")
    for rubbish in (b"[]", b"{", b"\xff", b"x" * (proofs.MAX_CERTIFICATE + 1)):
        path.write_bytes(rubbish)
        assert main(["verify-certificate", str(path), "--public-key", public]) == 1
