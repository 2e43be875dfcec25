import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from foundation import certificates
from foundation.keys import KeyTrouble


def test_setup_makes_a_test_chain_once(tmp_path):
    assert certificates.make_missing(tmp_path) == ["c2pa.key", "c2pa.pem", "c2pa-root.pem"]
    before = certificates.load(tmp_path)
    assert certificates.make_missing(tmp_path) == []
    assert certificates.load(tmp_path) == before
    assert (tmp_path / "c2pa.key").stat().st_mode & 0o777 == 0o600


def test_chain_leads_to_the_root_and_says_that_it_is_a_test(tmp_path):
    certificates.make_missing(tmp_path)
    made = certificates.load(tmp_path)
    signer, root = x509.load_pem_x509_certificates(made.chain.encode())
    signer.verify_directly_issued_by(root)
    assert [root] == x509.load_pem_x509_certificates(made.roots.encode())
    assert "TEST ONLY" in signer.subject.rfc4514_string()
    usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.EMAIL_PROTECTION in usage
    assert not signer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_deployments_own_chain_is_kept_whole_or_refused(tmp_path):
    certificates.make_missing(tmp_path)
    (tmp_path / "c2pa.pem").unlink()
    with pytest.raises(KeyTrouble, match=r"only c2pa\.key, c2pa-root\.pem"):
        certificates.make_missing(tmp_path)


def test_key_and_chain_must_belong_together(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    certificates.make_missing(ours)
    certificates.make_missing(theirs)
    (theirs / "c2pa.pem").replace(ours / "c2pa.pem")
    with pytest.raises(KeyTrouble, match="does not belong"):
        certificates.load(ours)


def test_damage_and_loose_modes_are_refused(tmp_path):
    with pytest.raises(KeyTrouble, match="cannot be opened"):
        certificates.load(tmp_path)
    certificates.make_missing(tmp_path)
    (tmp_path / "c2pa.key").chmod(0o644)
    with pytest.raises(KeyTrouble, match="others could read"):
        certificates.load(tmp_path)
    (tmp_path / "c2pa.key").chmod(0o600)
    (tmp_path / "c2pa.pem").write_text("no certificate")
    with pytest.raises(KeyTrouble, match="no PEM file"):
        certificates.load(tmp_path)
