"""The auditor's bundle: written from a database, checked without one, counted again."""

import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import transaction

from foundation import keys
from foundation.audit import archive, canonical, checkpoints, log, tree
from foundation.audit.cosignatures import WitnessKey
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault.models import VaultKey
from retention import custody, ending
from retention.purposes import Purpose
from tests.foundation.audit.factories import example
from vouch import cli
from vouch.bundle import check as bundles
from vouch.bundle import content, figures

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[3]
SYSTEM = Actor.system("test")
VOICE = "01234567-89ab-cdef-0123-456789abcdef"
DAY = timedelta(days=1)


def happen(kind: str, subject: str = "voice:1", actor: Actor = SYSTEM, **data: Any) -> None:
    with transaction.atomic():
        log.record(kind=kind, subject=subject, actor=actor, data=example(kind, **data), rehearsal=True)


@pytest.fixture
def story(person: Callable[..., Any], django_capture_on_commit_callbacks: Any) -> Any:
    """What a small period holds: refusals, an output, a recording that comes and goes. Returns who did it."""
    owner = person()
    happen("clearance.refused", purpose="speak", code="consent_ended")
    happen("clearance.refused", purpose="speak", code="consent_ended")
    happen("clearance.refused", purpose="train", code="voice_protected")
    happen("speech.requested", actor=Actor.of(owner), voice=VOICE, characters=12)
    happen(
        "output.sealed", "output:1", voice=VOICE, consent=VOICE, licence=None, job=VOICE, sha256="0" * 64, characters=12
    )
    item = custody.receive(
        stream=[b"RIFF"], purpose=Purpose.CHALLENGE, subject=owner, actor=Actor.of(owner), max_bytes=100
    )
    with django_capture_on_commit_callbacks(execute=True):
        ending.destroy(item=item, reason="withdrawn", actor=SYSTEM)
    return owner


def write(folder: Path, *more: str, name: str = "bundle.tar") -> Path:
    path = folder / name
    since, until = (now() - DAY).isoformat(), (now() + DAY).isoformat()
    call_command("audit_bundle", str(path), "--from", since, "--to", until, *more, stdout=io.StringIO())
    return path


def verify(path: Path, *more: str) -> int:
    return cli.main(["verify-bundle", str(path), "--public-key", keys.public_key("log").hex(), *more])


def forge(path: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """The bundle with one file changed and everything signed again: what an operator with the key could write."""
    folder = path.parent / "forged"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    parts = []
    with tarfile.open(path) as file:
        for number, member in enumerate(file.getmembers()[2:]):
            data = file.extractfile(member).read()  # type: ignore[union-attr]
            (folder / str(number)).write_bytes(change(data) if member.name == name else data)
            parts.append((member.name, folder / str(number)))
    target = folder / "bundle.tar"
    archive.write(target, parts, origin="vouch.example/log", private_key=keys.private_key("log"))
    return target


@pytest.mark.usefixtures("story")
def test_a_bundle_verifies_and_its_figures_are_counted_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path)
    assert verify(path) == 0
    said = capsys.readouterr().out
    counted = json.loads(said[: said.rindex("INTACT")])
    assert counted["refusals"] == {"speak": {"consent_ended": 2}, "train": {"voice_protected": 1}}
    assert counted["outputs"] == {figures.OWN: {"outputs": 1, "characters": 12}}
    assert counted["requests"]["speech"] == 1
    assert counted["deletions"]["by_reason"] == {"withdrawn": 1}
    assert counted["deletions"]["after_their_deadline"] == 0
    assert "1 certificates for 1 destroyed recordings" in said
    report = bundles.check(path, keys.public_key("log"))
    assert (report.about["first"], report.about["end"]) == (0, tree.size())
    for name in ("keys/log.vkey", "keys/gate.pub", "texts/consent/consent-en-1.md", "texts/policy/core-pack.json"):
        assert name in report.texts


@pytest.mark.usefixtures("story")
def test_only_the_period_is_in_it_and_the_rest_of_the_log_is_proven_around_it(tmp_path: Path) -> None:
    middle = now()
    happen("clock.moved")
    later = now()
    happen("clock.moved")
    path = tmp_path / "middle.tar"
    call_command(
        "audit_bundle", str(path), "--from", middle.isoformat(), "--to", later.isoformat(), stdout=io.StringIO()
    )
    report = bundles.check(path, keys.public_key("log"))
    assert report.intact
    assert (report.about["first"], report.about["end"], report.about["size"]) == (
        tree.size() - 2, tree.size() - 1, tree.size(),
    )  # fmt: skip
    assert report.figures["events"] == {"clock.moved": 1}


def test_somebody_who_is_no_auditor_sees_the_others_events_as_hashes(tmp_path: Path, story: Any) -> None:
    report = bundles.check(write(tmp_path, "--for", story.email), keys.public_key("log"))
    assert report.intact
    assert report.figures["requests"]["speech"] == 1
    assert report.figures["refusals"] == {}
    assert report.figures["events_not_shown"] > 3
    assert report.certificates == 0
    text = (tmp_path / "bundle.tar").read_bytes()
    assert b"voice_protected" not in text


@pytest.mark.usefixtures("story")
def test_what_an_operator_embellishes_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Signed again by the log's own key: the tree, the recount and the receipts still tell."""
    path = write(tmp_path)

    def without_a_refusal(data: bytes) -> bytes:
        stated = canonical.decode(data)
        del stated["figures"]["refusals"]["train"]
        return canonical.encode(stated)

    def without_its_erasure(data: bytes) -> bytes:
        return canonical.encode({**canonical.decode(data.rstrip()), "erasure": None}) + b"\n"

    def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
        return lambda data: b"".join(change(data.splitlines(keepends=True)))

    for name, change, words in (
        (content.FIGURES, without_a_refusal, "figures are not those"),
        (content.EVENTS, lambda data: data.replace(b"voice_protected", b"voice_forgotten"), "RootMismatch"),
        (content.EVENTS, lines(lambda rows: rows[:-1]), "RootMismatch"),
        (content.EVENTS, lines(lambda rows: [*rows[:2], *rows[3:]]), "not in its place"),
        (content.EVENTS, lines(lambda rows: [rows[1], rows[0], *rows[2:]]), "not in its place"),
        (
            content.CERTIFICATES,
            lambda data: data.replace(b'"reason":"withdrawn"', b'"reason":"deadline"'),
            "certificates",
        ),
        (content.CERTIFICATES, lambda data: data + data, "not the certificate of one of these"),
        (content.CERTIFICATES, lambda data: data.replace(b'"versions":0', b'"versions":1'), "CertificateInvalid"),
        (content.CERTIFICATES, lambda data: data.replace(b'"epoch_after":', b'"epoch_after":1'), "CertificateInvalid"),
        (content.CERTIFICATES, without_its_erasure, "CertificateInvalid"),
        (content.SCHEMAS, lambda data: b"{}", "schemas"),
        (content.PROOF, lambda data: b'{"left":[],"right":["00"]}', "ProofTooLong"),
        (content.ABOUT, lambda data: data.replace(b'"size":', b'"size":1'), "checkpoint"),
        (content.CHECKPOINT, lambda data: data.replace(b"\n\n", b"\n"), "BadNote"),
    ):
        assert verify(forge(path, name, change)) == 1
        assert words in capsys.readouterr().out
    assert verify(forge(path, "keys/gate.pub", lambda data: data)) == 0


def test_a_recording_whose_key_is_not_erased_yet_has_no_certificate_and_stops_no_bundle(
    tmp_path: Path, person: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The worker died between the commit that destroyed the key and its erasure in the key store."""
    item = custody.receive(stream=[b"RIFF"], purpose=Purpose.TRACE, subject=person(), actor=SYSTEM, max_bytes=100)
    ending.destroy(item=item, reason="withdrawn", actor=SYSTEM)
    assert verify(write(tmp_path)) == 0
    assert "0 certificates for 1 destroyed recordings" in capsys.readouterr().out


@pytest.mark.usefixtures("story")
def test_a_key_that_came_back_stands_in_the_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody put the key's file back: the certificate says so, and so does the check."""
    key = VaultKey.objects.filter(state="destroyed").latest("destroyed_at")
    folder = settings.VOUCH_KEYSTORE / key.id.hex[:2]
    (folder / f"{key.id.hex}.key").write_bytes(b"put back")
    assert verify(write(tmp_path)) == 1
    assert "the key store still had the key" in capsys.readouterr().out


@pytest.mark.usefixtures("story")
def test_a_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    """A prime step through every file of a real bundle; the container itself is flipped exhaustively elsewhere."""
    path = write(tmp_path)
    data = path.read_bytes()
    for place in range(0, len(data) * 8, len(data) * 8 // 150 | 1):
        bent = bytearray(data)
        bent[place // 8] ^= 1 << place % 8
        path.write_bytes(bent)
        assert not bundles.check(path, keys.public_key("log")).intact, place


@pytest.mark.usefixtures("story")
def test_another_logs_key_or_a_missing_witness_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path)
    assert cli.main(["verify-bundle", str(path), "--public-key", "00" * 32]) == 1
    assert "not signed by this key" in capsys.readouterr().out
    assert verify(path, "--witness", WitnessKey("w.example", bytes(32)).verifier_key) == 1
    assert "not cosigned by w.example" in capsys.readouterr().out
    assert verify(tmp_path / "none") == 2
    path.write_bytes(b"not a bundle")
    assert verify(path) == 1


@pytest.mark.usefixtures("story")
def test_it_is_checked_on_a_machine_with_no_settings_no_database_and_no_network(tmp_path: Path) -> None:
    path = write(tmp_path)
    code = (
        "import sys, socket\n"
        "def no(*a, **k): raise SystemExit('network')\n"
        "socket.socket.connect = no\n"
        "from vouch import cli\n"
        "done = cli.main(sys.argv[1:])\n"
        "assert 'django.db' not in sys.modules and 'torch' not in sys.modules\n"
        "raise SystemExit(done)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "verify-bundle", str(path), "--public-key", keys.public_key("log").hex()],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}, cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "INTACT" in done.stdout


@pytest.mark.usefixtures("story")
def test_nothing_is_overwritten_and_nonsense_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    before = path.read_bytes()
    with pytest.raises(CommandError, match="exists"):
        write(tmp_path)
    assert path.read_bytes() == before
    for more in (["--for", "nobody@example.org"],):
        with pytest.raises(CommandError, match="account"):
            write(tmp_path, *more, name="other.tar")
    empty = ["--from", "2001-01-01", "--to", "2001-01-02"]
    with pytest.raises(CommandError, match="no event"):
        call_command("audit_bundle", str(tmp_path / "x.tar"), *empty)
    with pytest.raises(CommandError, match="before it begins"):
        call_command("audit_bundle", str(tmp_path / "x.tar"), "--from", "2001-01-02", "--to", "2001-01-01")
    with pytest.raises(CommandError):
        call_command("audit_bundle", str(tmp_path / "x.tar"), "--from", "soon", "--to", "2001-01-01")
    assert [found.name for found in tmp_path.iterdir()] == ["bundle.tar"]


def test_a_late_deletion_and_a_slow_erasure_are_counted() -> None:
    tally = figures.Tally()
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def at(hours: float) -> str:
        return (start + timedelta(hours=hours)).isoformat()

    def event(kind: str, subject: str, moment: str, **data: Any) -> None:
        tally.add({"kind": kind, "subject": subject, "at": moment, "rehearsal": False, "data": data})

    for destroyed in (10, 73, 75):
        event(
            "custody.destroyed", "custody:1", at(destroyed), reason="deadline",
            received_at=at(0), deadline=at(72), destroyed_at=at(destroyed),
        )  # fmt: skip
    event("key.destroyed", "key:1", at(73), key_kind="custody", reason="deadline")
    event("key.erased", "key:1", at(74), erased_at=at(74))
    found = tally.figures()["deletions"]
    assert found["after_their_deadline"] == 2
    assert found["seconds_past_deadline"] == {"median": 7200, "most": 10800, "count": 2}
    assert found["seconds_to_key_erasure"] == {"median": 3600, "most": 3600, "count": 1}


@pytest.mark.usefixtures("story")
def test_a_cosigned_checkpoint_is_preferred_when_it_has_the_period(tmp_path: Path) -> None:
    from foundation.audit.models import Cosignature

    seen = checkpoints.make()
    Cosignature.objects.create(checkpoint=seen, witness="w.example", line="\N{EM DASH} w.example AAAA\n")
    until = now().isoformat()
    happen("clock.moved")
    checkpoints.make()
    path = tmp_path / "one.tar"
    call_command("audit_bundle", str(path), "--from", "2020-01-01", "--to", until, stdout=io.StringIO())
    assert bundles.check(path, keys.public_key("log")).about["size"] == seen.size
