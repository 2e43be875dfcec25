"""The certificate that signs content credentials (C2PA): three files beside the platform's keys.

==================  ==========================================================================================
``c2pa.key``        the private key, PEM (PKCS 8), 0600
``c2pa.pem``        the chain, PEM, the signer's certificate first
``c2pa-root.pem``   the roots that a checker of this deployment trusts
==================  ==========================================================================================

Set-up makes a test chain of its own. A deployment that has a certificate of the C2PA trust list puts its files there
first; nothing is replaced. A test chain says so in its names: no other party trusts it.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from foundation.keys import KeyTrouble, check_owner

KEY, CHAIN, ROOTS = "c2pa.key", "c2pa.pem", "c2pa-root.pem"
MAX_FILE: Final = 64 * 1024
TEST_NAME: Final = "Vouch TEST ONLY"
ROOT_DAYS, SIGNER_DAYS = 3650, 825


@dataclass(frozen=True)
class SigningCertificate:
    """PEM texts: the private key, the chain (signer first), the trusted roots."""

    private_key: str
    chain: str
    roots: str


def load(folder: Path) -> SigningCertificate:
    """The certificate in ``folder``. Raises KeyTrouble when a file is missing, open to others, or does not fit."""
    found = SigningCertificate(
        private_key=_read(folder / KEY, private=True),
        chain=_read(folder / CHAIN, private=False),
        roots=_read(folder / ROOTS, private=False),
    )
    try:
        signer = x509.load_pem_x509_certificates(found.chain.encode())[0]
        key = serialization.load_pem_private_key(found.private_key.encode(), password=None)
        x509.load_pem_x509_certificates(found.roots.encode())
        fits = key.public_key() == signer.public_key()
    except (ValueError, TypeError, IndexError) as error:
        raise KeyTrouble(f"{KEY}, {CHAIN} or {ROOTS} is no PEM file of its kind.") from error
    if not fits:
        raise KeyTrouble(f"{KEY} does not belong to the first certificate of {CHAIN}.")
    return found


def make_missing(folder: Path) -> list[str]:
    """Makes a test chain when none of the three files is there, and returns the names made.

    Raises KeyTrouble when some are there and others are not: a chain is replaced as a whole or not at all.
    """
    present = [name for name in (KEY, CHAIN, ROOTS) if (folder / name).exists()]
    if len(present) == 3:
        load(folder)
        return []
    if present:
        raise KeyTrouble(
            f"Of {KEY}, {CHAIN} and {ROOTS} only {', '.join(present)} is there.",
            advice="Put all three there, or none to have a test chain made.",
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key, chain, root = _test_chain()
    for name, text, mode in ((ROOTS, root, 0o644), (CHAIN, chain, 0o644), (KEY, key, 0o600)):
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    return [KEY, CHAIN, ROOTS]


def _test_chain() -> tuple[bytes, bytes, bytes]:
    """Private key, chain and root (PEM): P-256, a root and one signer, in the form that C2PA 2.2, 14.5 asks for."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = _name("root")
    root = _signed(
        _certificate(root_name, root_name, root_key.public_key(), ROOT_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=False), critical=True),
        root_key,
    )
    signer = _signed(
        _certificate(_name("signer"), root_name, key.public_key(), SIGNER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
        ),
        root_key,
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    roots = root.public_bytes(serialization.Encoding.PEM)
    return private, signer.public_bytes(serialization.Encoding.PEM) + roots, roots


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    # The real clock, not the rehearsal's: C2PA's library checks validity by it. An hour, because clocks differ.
    start = datetime.now(UTC) - timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return builder.sign(key, hashes.SHA256())


def _name(role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, TEST_NAME),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{TEST_NAME} {role}"),
        ]
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign, key_cert_sign=not sign, crl_sign=not sign, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _read(path: Path, *, private: bool) -> str:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise KeyTrouble(
            f"{path.name} cannot be opened: {error.strerror}.",
            advice="Run `manage.py make_keys`, or put the deployment's certificate into VOUCH_KEYS.",
        ) from error
    try:
        found = os.fstat(handle)
        check_owner(path.name, found, private=private)
        if found.st_size > MAX_FILE:
            raise KeyTrouble(f"{path.name} is larger than {MAX_FILE} bytes.")
        return os.read(handle, MAX_FILE).decode("ascii", "replace")
    finally:
        os.close(handle)
