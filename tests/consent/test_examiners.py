"""The whole examination on real sound: research voices read challenges and training speech; nothing is replaced."""

import secrets
import uuid
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from consent import recordings, tasks
from consent.errors import ChallengeNotPassed
from consent.models import Challenge, Examination
from foundation import keys
from foundation.audit.models import Leaf
from foundation.clock import move_forward, now
from foundation.identity.actors import Actor
from retention import custody
from safety.models import Case, Restriction
from safety.protected import enrol, protect
from tests.consent.readers import RATE, SENTENCES, answer, honest, offer, read_well, said, script, wav
from tests.safety import desk
from watermark.codec.embed import embed
from watermark.codec.fingerprint import BITS, VERSION, fingerprint
from watermark.models import PAYLOAD_LIMIT, IssuedMark, MarkRecord
from watermark.services import issue_mark

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")


@pytest.fixture
def passed(person: Any) -> Challenge:
    return honest(person())


def kinds(found: Examination) -> list[str]:
    return [item["kind"] for item in found.evidence]


def test_an_honest_reader_passes_and_every_step_leaves_its_evidence(passed: Challenge) -> None:
    found = passed.examination
    assert kinds(found) == ["quality", "liveness", "own_mark", "spoof", "heard_before", "voice_search"]
    for item in found.evidence:
        assert {"value", "threshold", "verdict", "reason", "model"} <= set(item)
        assert item["verdict"] == "pass" or item["kind"] == "spoof"
    assert Leaf.objects.filter(kind="examination.decided").count() >= 1
    template = np.frombuffer(custody.read(item=passed.template, actor=SYSTEM), "<f4")
    assert template.shape == (256,)
    assert abs(np.linalg.norm(template) - 1) < 1e-3
    assert passed.template.deadline == passed.custody.deadline


def test_an_old_answer_to_a_new_challenge_is_refused(person: Any) -> None:
    owner = person()
    challenge = answer(owner, lambda _: said("lantern, meadow, harbour, pencil, orange, window"))
    assert challenge.state == "refused"
    assert challenge.examination.reason == "wrong_words"
    assert challenge.template is None


def test_silence_and_noise_do_not_pass(person: Any) -> None:
    for wave in (np.zeros(5 * RATE, np.float32), np.random.default_rng(0).normal(0, 0.1, 5 * RATE).astype(np.float32)):
        challenge = answer(person(), lambda _, wave=wave: wave)
        assert challenge.state in ("refused", "inconclusive")
        assert challenge.examination.advice["en"]


def test_a_recording_with_our_own_mark_is_refused_also_in_a_rehearsal(person: Any, passed: Challenge) -> None:
    payload = issue_mark(output_ref="00000000-0000-4000-8000-000000000001", rehearsal=True).payload
    marked = embed(script(), RATE, payload, keys.secret("mark"))
    recording = offer(passed, wav(marked))
    assert recording.state == "refused"
    assert recording.examination.reason == "own_mark"


def remove(prints: list[bytes]) -> None:
    """Outputs that sounded like this, each held back by a moderator."""
    marks = IssuedMark.objects.bulk_create(
        IssuedMark(payload=secrets.randbelow(PAYLOAD_LIMIT - 1) + 1, output_ref=str(uuid.uuid4()), rehearsal=True)
        for _ in prints
    )
    MarkRecord.objects.bulk_create(
        MarkRecord(mark=mark, fingerprint=one, fingerprint_version=VERSION, strength_db=-30.0, score=9.0,
                   voice_note_score=9.0)
        for mark, one in zip(marks, prints, strict=True)
    )  # fmt: skip
    fields = {"subject_kind": "output", "effect": "quarantine", "reason": "A fraud.", "reason_salt": "", "clause": "x"}
    Restriction.objects.bulk_create(Restriction(subject_ref=mark.output_ref, **fields) for mark in marks)


def test_the_sound_of_a_removed_output_is_no_training_speech_however_many_were_removed_before_and_after_it(
    person: Any, passed: Challenge
) -> None:
    chance = np.random.default_rng(0)
    others = [chance.integers(0, 1 << BITS, 100, dtype="<u2").tobytes() for _ in range(420)]
    remove([*others[:210], fingerprint(script(), RATE), *others[210:]])
    # Without its mark, and under one of another key, which is not ours to read.
    for sound in (script(), embed(script(), RATE, 17, b"the key of another deployment...")):
        recording = offer(passed, wav(sound))
        assert (recording.state, recording.examination.reason) == ("refused", "removed_before")
        assert "en" in recording.examination.advice
    other = offer(passed, wav(said("Another text altogether, about gardens and rivers, and a long walk home.")))
    assert other.examination.reason != "removed_before"


def test_training_speech_of_the_same_person_passes_and_of_another_is_refused(passed: Challenge) -> None:
    mine = offer(passed, wav(script()))
    assert mine.state == "passed", mine.examination.evidence
    assert mine.seconds == pytest.approx(len(script()) / RATE, abs=0.1)
    theirs = offer(passed, wav(script("rms")))
    assert theirs.state == "refused", theirs.examination.evidence
    assert theirs.examination.reason == "different_speaker"


def test_training_speech_with_a_stretch_of_somebody_else_names_the_seconds(passed: Challenge) -> None:
    mixed = np.concatenate([script(), script("rms", SENTENCES[:3])])
    recording = offer(passed, wav(mixed))
    assert recording.state == "refused"
    windows = next(one for one in recording.examination.evidence if one["kind"] == "speaker_windows")
    (start, _), *_ = windows["details"]["others"]
    assert start > len(script()) / RATE - 4


def test_a_voice_that_resembles_a_protected_one_waits_for_a_moderator_and_learns_no_more(person: Any) -> None:
    from consent.biometrics import speaker

    embedding = speaker.embed(script(), RATE)
    protect(actor=Actor.of(person("moderator")), embedding=[float(x) for x in embedding], label="A Public Figure")
    owner = person()
    challenge = read_well(owner)
    found = challenge.examination
    assert (challenge.state, found.state, found.verdict, found.reason) == ("held", "held", "", "moderator_looks")
    assert found.evidence[-1]["details"] == {}
    assert "Public Figure" not in str(found.evidence)
    with pytest.raises(ChallengeNotPassed):
        recordings.create_recording(actor=Actor.of(owner), challenge_id=challenge.id, language="en", transcript="x")

    case = Case.objects.get()
    assert (case.requester, case.matches[0]["label"]) == (owner, "A Public Figure")
    desk.decide(person("moderator"), case, "allow")
    tasks.tidy()
    challenge.refresh_from_db()
    assert challenge.state == "passed"
    assert read_well(owner).state == "passed"  # the same voice of the same person is not asked about again
    assert Case.objects.count() == 1


def test_an_upload_whose_voice_came_under_protection_meanwhile_waits_for_a_moderator(
    person: Any, passed: Challenge
) -> None:
    live = np.frombuffer(custody.read(item=passed.template, actor=SYSTEM), "<f4")
    protect(actor=Actor.of(person("moderator")), embedding=[float(x) for x in live], label="A Public Figure")
    asked = offer(passed, wav(script()))
    found = asked.examination
    assert (asked.state, found.reason) == ("inconclusive", "moderator_looks")
    assert "send it again" in found.advice["en"].lower()
    assert "Public Figure" not in str(found.evidence)
    case = Case.objects.get()
    assert (case.id, case.requester) == (found.case_ref, passed.person)
    desk.decide(person("moderator"), case, "allow")
    again = offer(passed, wav(script(lines=(*SENTENCES[1:], SENTENCES[0])))).examination
    assert again.evidence[-1]["reason"] != "moderator_looks"
    assert Case.objects.count() == 1


def test_a_voice_another_account_enrolled_waits_for_a_moderator_too(person: Any, passed: Challenge) -> None:
    live = np.frombuffer(custody.read(item=passed.template, actor=SYSTEM), "<f4")
    enrol(
        person_id=passed.person_id,
        consent_ref=str(uuid.uuid4()),
        embedding=live,
        not_after=now() + timedelta(days=1),
        actor=SYSTEM,
    )
    assert read_well(passed.person).state == "passed"
    assert read_well(person()).state == "held"
    assert Case.objects.get().matches[0]["person"] == str(passed.person_id)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"This is a letter, not a recording.", "not_audio"),
        (wav(np.zeros(0, np.float32)), "audio_empty"),
        (wav(np.full(RATE, 0.1, np.float32))[:-9_000], "audio_truncated"),
    ],
)
def test_what_is_no_recording_is_refused_with_advice(passed: Challenge, data: bytes, reason: str) -> None:
    recording = offer(passed, data)
    assert recording.state == "refused"
    assert recording.examination.reason == reason
    assert recording.examination.advice["en"]
    assert recording.examination.advice["zh"]


def test_outside_a_rehearsal_the_spoof_verdict_blocks(person: Any) -> None:
    from consent.biometrics.evidence import Evidence, Verdict
    from consent.examiners import _run

    def step(kind: str, verdict: Verdict) -> Any:
        return lambda: Evidence(kind, 1.0, 0.5, verdict, "synthetic", {"en": "…"}, "model")

    steps = [step("quality", Verdict.PASS), step("spoof", Verdict.REFUSE), step("speaker_windows", Verdict.PASS)]
    assert _run(steps, rehearsal=True, required=["own_mark"]).reason == "step_missing"
    assert _run(steps, rehearsal=False).verdict == "refuse"
    recorded = _run(steps, rehearsal=True)
    assert recorded.verdict == "pass"
    assert [item["verdict"] for item in recorded.evidence] == ["pass", "refuse", "pass"]
    assert _run([step("own_mark", Verdict.REFUSE)], rehearsal=True).verdict == "refuse"


def test_a_recording_past_its_deadline_is_not_listened_to(passed: Challenge) -> None:
    actor = Actor.of(passed.person)
    made = recordings.create_recording(actor=actor, challenge_id=passed.id, language="en", transcript="Words.")
    found = recordings.receive_content(actor=actor, recording_id=made.id, stream=[wav(script())])
    move_forward(timedelta(hours=72))
    tasks.examine_recording(str(found.id))
    found.refresh_from_db()
    made.refresh_from_db()
    assert (found.state, found.verdict, found.reason) == ("failed", "inconclusive", "past_deadline")
    assert made.state == "inconclusive"
