"""Time-stamps by a real RFC 3161 authority: openssl's, behind a small server on this machine."""

import http.server
import shutil
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from watermark.evidence import Materials
from watermark.labels.encode import encode
from watermark.labels.manifest import Credential, read, sign
from watermark.labels.profile import NAMES, load_profile
from watermark.seal import SealError, seal
from watermark.verdict import judge

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]
FACTS = {"content_id": "8f14e45f", "created": "2026-11-01T12:00:00+00:00"}
CONFIGURATION = """[tsa]
default_tsa = one
[one]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


def certificate(subject, issuer, key, signer, *extensions):
    def name(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )  # fmt: skip
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def usage(*, sign):
    return x509.KeyUsage(sign, False, False, False, False, not sign, not sign, False, False)


@pytest.fixture
def authority(tmp_path):
    """Its address, and its root (PEM)."""
    root_key, key = (rsa.generate_private_key(public_exponent=65_537, key_size=2_048) for _ in range(2))
    root = certificate("r", "r", root_key, root_key, x509.BasicConstraints(True, 0), usage(sign=False))
    leaf = certificate("t", "r", key, root_key, x509.BasicConstraints(False, None), usage(sign=True),
                       x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]))  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for name, content in (("root", root), ("leaf", leaf), ("key", private), ("serial", b"01"),
                          ("conf", CONFIGURATION.encode())):  # fmt: skip
        (tmp_path / name).write_bytes(content)

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            (tmp_path / "query").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            line = "openssl ts -reply -config conf -queryfile query -signer leaf -inkey key -chain root -out reply"
            subprocess.run(line.split(), cwd=tmp_path, check=True, capture_output=True)
            reply = (tmp_path / "reply").read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", root.decode()
        server.shutdown()
        thread.join()


def test_time_is_in_the_file_and_trusted_only_with_the_authoritys_root(buzzy, credential, authority):
    address, root = authority
    with_time = Credential(credential.private_key, credential.chain, credential.roots, address)
    data = encode(buzzy(2, 1.0), 24_000, "wav")
    out = sign(data, "wav", FACTS, with_time, generator="Vouch", version="1")
    for roots, trusted in ((credential.roots + root, True), (credential.roots, False)):
        said = read(out.data, "wav", roots=roots)
        assert (said.state, said.time_trusted) == ("Trusted", trusted)
        made = datetime.fromisoformat(said.signed_at)
        assert abs(datetime.now(UTC) - made) < timedelta(minutes=5)


def sealed(speech, credential, profile):
    return seal(
        speech, 32_000, payload=7, mark_key=bytes(range(32)), label_profile=profile, language="en",
        content_id="8f14e45f", provider_code="0011DEMODEMODEMODEMO0010000", created=datetime.now(UTC),
        sign=lambda message: b"signed", verify=lambda *_: True, credential=credential, rehearsal=False,
    )  # fmt: skip


def test_a_stamped_file_is_compliant_by_every_profile(speech, credential, authority):
    address, root = authority
    both = Credential(credential.private_key, credential.chain, credential.roots + root, address)
    out = sealed(speech, both, load_profile("eu"))
    given = Materials(roots=both.roots, mark_key=bytes(range(32)), issued=(7, 8))
    for name in NAMES:
        report = judge(out.data, load_profile(name), given, datetime.now(UTC))
        assert (name, report.verdict, report.agree) == (name, "compliant", True)


def test_a_stamp_by_an_authority_nobody_trusts_ends_the_seal(speech, credential, authority):
    address, _ = authority
    alone = Credential(credential.private_key, credential.chain, credential.roots, address)
    with pytest.raises(SealError, match="verify content credential: no authority that the roots trust"):
        sealed(speech, alone, load_profile("eu"))
