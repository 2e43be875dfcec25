"""Receipts are checked by anybody, in both forms, without Django."""

import subprocess
import sys
from typing import Any

import pytest

from consent import proofs
from foundation import keys
from tests.consent.factories import consent
from vouch.cli import main


@pytest.mark.django_db(transaction=True)
def test_a_receipt_is_checked_at_the_shell_in_both_forms(person: Any, api: Any, tmp_path: Any) -> None:
    given = consent(person())
    client, public = api(given.person), keys.public_key("log")
    whole = client.get(f"consents/{given.id}/receipt").content
    code = client.get(f"consents/{given.id}/receipt.txt").content
    for data in (whole, code):
        said = proofs.described(data, public)
        assert said is not None
        assert str(given.id) in said
        with pytest.raises(proofs.ReceiptInvalid):
            proofs.described(data, keys.public_key("gate"))
    with pytest.raises(proofs.ReceiptInvalid):
        proofs.described(whole.replace(b'"own_use":true', b'"own_use":false'), public)
    for other in (b"", b"{}", b"not a receipt", b"VOUCH1:" + bytes(2_000)):
        assert proofs.described(other, public) is None

    file = tmp_path / "receipt"
    for data in (whole, code):
        file.write_bytes(data)
        assert main(["verify-receipt", str(file), "--public-key", public.hex()]) == 0
        assert main(["verify-receipt", str(file), "--public-key", keys.public_key("gate").hex()]) == 1


def test_checking_a_receipt_needs_no_django() -> None:
    said = "import sys, consent.proofs; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", said], env={"PYTHONPATH": ".:platform"}, check=False).returncode == 0
