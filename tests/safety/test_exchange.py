"""Banks between platforms: signed, projected, pinned, never older, and nothing but what is in force."""

import base64
import json
from datetime import timedelta

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command

from foundation import clock, keys
from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from safety import exchange, protected
from safety.models import BankOrigin, ProtectedVoice
from tests.safety.test_protected import voice

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
SECRET = b"s" * 32
KEY = b"k" * 32
PUBLIC = Ed25519PrivateKey.from_private_bytes(KEY).public_key().public_bytes_raw().hex()


def unit(seed):
    return voice(seed) / np.linalg.norm(voice(seed))


@pytest.fixture
def moderator(person):
    return Actor.of(person(role="moderator"))


@pytest.fixture
def bank(moderator):
    """A bank of two voices as another platform exports it; nothing of it is here any more."""
    for seed in (1, 2):
        protected.protect(actor=moderator, embedding=voice(seed), label=f"Voice {seed}")
    data = exchange.export(origin="other.example", secret=SECRET, private_key=KEY, actor=SYSTEM)
    for one in ProtectedVoice.objects.all():
        protected.remove(voice=one, reason="test", actor=SYSTEM)
    return data


def take(data, **more):
    return exchange.import_bank(**{"data": data, "secret": SECRET, "trust": PUBLIC, "actor": SYSTEM, **more})


def signed(change, data, key=KEY):
    body = json.loads(data.split(b"\n")[0])
    change(body)
    body = json.dumps(body).encode()
    private = Ed25519PrivateKey.from_private_bytes(key)
    signature = {
        "key": private.public_key().public_bytes_raw().hex(),
        "signature": private.sign(b"vouch protected bank v1\n" + body).hex(),
    }
    return body + b"\n" + json.dumps(signature).encode() + b"\n"


def test_what_one_platform_protects_another_finds(bank):
    assert protected.search(embedding=unit(1)) == []
    assert take(bank) == exchange.Imported("other.example", added=2, removed=0, kept=0)
    (hit,) = protected.search(embedding=unit(1))
    assert hit.label.startswith("other.example ")
    assert hit.similarity == pytest.approx(1.0, abs=1e-4)
    assert take(bank) == exchange.Imported("other.example", added=0, removed=0, kept=2)
    kinds = set(Leaf.objects.values_list("kind", flat=True))
    assert {"protected.exported", "protected.imported", "protected.removed"} <= kinds


def test_a_leaked_bank_fits_no_recording_and_says_no_names(bank):
    body = json.loads(bank.split(b"\n")[0])
    for entry, seed in zip(body["entries"], (1, 2), strict=True):
        turned = np.frombuffer(base64.b64decode(entry["template"]), "<f4")
        assert abs(float(turned @ unit(seed))) < 0.5
        assert entry.keys() == {"id", "public_name", "template"}
    assert b"Voice 1" not in bank


def test_what_a_later_bank_no_longer_says_ends_here_and_an_older_one_brings_nothing_back(bank):
    take(bank)
    clock.move_forward(timedelta(minutes=1))
    later = signed(lambda body: (body["entries"].pop(), body.update(exported_at=clock.now().isoformat())), bank)
    assert take(later) == exchange.Imported("other.example", added=0, removed=1, kept=1)
    assert len(protected.search(embedding=unit(1)) + protected.search(embedding=unit(2))) == 1
    with pytest.raises(exchange.BankStale):
        take(bank)
    assert ProtectedVoice.objects.filter(bank__name="other.example", state="active").count() == 1


def test_imported_voices_are_rekeyed_and_are_not_passed_on(bank):
    take(bank)
    assert protected.rekey(actor=SYSTEM) == 2
    assert len(protected.search(embedding=unit(2))) == 1
    passed_on = exchange.export(origin="me", secret=SECRET, private_key=KEY, actor=SYSTEM)
    assert json.loads(passed_on.split(b"\n")[0])["entries"] == []


def test_another_key_than_the_pinned_one_is_refused(bank):
    take(bank)
    other = b"o" * 32
    forged = signed(lambda body: body["entries"].clear(), bank, key=other)
    public = Ed25519PrivateKey.from_private_bytes(other).public_key().public_bytes_raw().hex()
    for trust in (PUBLIC, public):
        with pytest.raises(exchange.BankUntrusted):
            take(forged, trust=trust)
    assert ProtectedVoice.objects.filter(state="active").count() == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(format="other/1"),
        lambda body: body.update(model="ecapa-192"),
        lambda body: body.update(origin="a b"),
        lambda body: body.update(exported_at="yesterday"),
        lambda body: body.update(exported_at="2999-01-01T00:00:00+00:00"),
        lambda body: body.update(exported_at="2020-01-01T00:00:00"),
        lambda body: body.update(entries={}),
        lambda body: body["entries"][0].update(id="../x"),
        lambda body: body["entries"][0].update(id=body["entries"][1]["id"]),
        lambda body: body["entries"][0].update(label="x"),
        lambda body: body["entries"][0].update(template="!!"),
        lambda body: body["entries"][0].update(template=base64.b64encode(bytes(1024)).decode()),
        lambda body: body["entries"][0].update(template=base64.b64encode(b"\xff" * 1024).decode()),
        lambda body: body["entries"][0].update(template=base64.b64encode(bytes(64)).decode()),
    ],
)
def test_a_bank_that_does_not_fit_changes_nothing(bank, change):
    with pytest.raises(exchange.BankInvalid):
        take(signed(change, bank))
    assert not BankOrigin.objects.exists()
    assert not ProtectedVoice.objects.filter(state="active").exists()


@pytest.mark.parametrize("data", [b"", b"{}", b"{}\n{}", b"[]\n[]", b"x\ny", b"\xff\n\xff"])
def test_what_is_no_bank_is_refused(data):
    with pytest.raises((exchange.BankInvalid, exchange.BankUntrusted)):
        take(data)


def test_a_changed_byte_is_noticed(bank):
    with pytest.raises(exchange.BankUntrusted):
        take(bank.replace(b"other.example", b"0ther.example", 1))


def test_the_command_exports_and_imports(moderator, tmp_path, capsys):
    protected.protect(actor=moderator, embedding=voice(1), label="Voice")
    secret = tmp_path / "secret"
    secret.write_text(SECRET.hex())
    file = tmp_path / "bank.json"
    call_command("protected", "export", str(file), "--origin", "here", "--secret-file", str(secret))
    public = keys.public_key("policy").hex()
    assert public in capsys.readouterr().out
    with pytest.raises(CommandError, match="exists"):
        call_command("protected", "export", str(file), "--origin", "here", "--secret-file", str(secret))
    call_command("protected", "import", str(file), "--trust", public, "--secret-file", str(secret))
    assert "1 added, 0 removed" in capsys.readouterr().out
    with pytest.raises(CommandError, match="bank_untrusted"):
        call_command("protected", "import", str(file), "--trust", PUBLIC, "--secret-file", str(secret))
    secret.write_text("short")
    with pytest.raises(CommandError, match="secret"):
        call_command("protected", "import", str(file), "--trust", public, "--secret-file", str(secret))
