"""The whole examination on real sound: research voices read challenges and training speech; nothing is replaced."""

import functools
import io
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from consent import ceremony, recordings, tasks
from consent.models import Challenge, Examination, Recording
from consent.prompts import sentences
from demo.flite.speaker import speak
from foundation import keys
from foundation.audit.models import Leaf
from foundation.clock import move_forward
from foundation.identity.actors import Actor
from retention import custody
from safety.protected import protect
from watermark.codec.embed import embed
from watermark.services import issue_mark

pytestmark = pytest.mark.django_db
RATE = 16_000
SYSTEM = Actor.system("test")
SENTENCES = sentences("en")[:16]
"""About forty seconds of speech: training needs thirty."""


@functools.cache
def said(text: str, voice: str = "slt", pause: float = 0.5) -> np.ndarray:
    """Speech in a quiet room: noise at -60 dBFS, half a second of it on both sides."""
    wave, rate = speak(text, voice=voice)
    assert rate == RATE
    framed = np.pad(wave, int(pause * RATE))
    noise = np.random.default_rng(len(text)).normal(0, 1e-3, framed.size)
    return (framed + noise).astype(np.float32)


def script(voice: str = "slt", lines: tuple[str, ...] = SENTENCES) -> np.ndarray:
    return np.concatenate([said(sentence, voice) for sentence in lines])


def wav(wave: np.ndarray) -> bytes:
    out = io.BytesIO()
    sf.write(out, wave, RATE, format="WAV")
    return out.getvalue()


def answer(owner: Any, wave: np.ndarray | None = None, words: list[str] | None = None) -> Challenge:
    """Opens a challenge, answers it live and has the answer examined."""
    actor = Actor.of(owner)
    challenge = ceremony.open_challenge(actor=actor)
    wave = said(", ".join(words or challenge.words)) if wave is None else wave
    pcm = (np.clip(wave, -1, 1) * 32_767).astype("<i2").tobytes()
    move_forward(timedelta(seconds=1))
    for index, start in enumerate(range(0, len(pcm), 64_000)):
        ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=index, data=pcm[start : start + 64_000])
        move_forward(timedelta(seconds=2))
    found = ceremony.answer_challenge(actor=actor, challenge_id=challenge.id)
    tasks.examine_challenge(str(found.id))
    tasks.examine_challenge(str(found.id))
    return Challenge.objects.select_related("examination", "custody", "template").get(id=challenge.id)


def offer(challenge: Challenge, data: bytes) -> Recording:
    actor = Actor.of(challenge.person)
    made = recordings.create_recording(
        actor=actor, challenge_id=challenge.id, language="en", transcript=" ".join(SENTENCES)
    )
    found = recordings.receive_content(actor=actor, recording_id=made.id, stream=[data])
    tasks.examine_recording(str(found.id))
    tasks.examine_recording(str(found.id))
    return Recording.objects.select_related("examination").get(id=made.id)


def kinds(found: Examination) -> list[str]:
    return [item["kind"] for item in found.evidence]


@pytest.fixture
def passed(person: Any) -> Challenge:
    for _ in range(3):  # an honest reader passes nearly always the first time, and within three
        challenge = answer(person())
        if challenge.state == "passed":
            return challenge
    pytest.fail(f"{challenge.examination.reason}: {challenge.examination.evidence}")


def test_an_honest_reader_passes_and_every_step_leaves_its_evidence(passed: Challenge) -> None:
    found = passed.examination
    assert kinds(found)[2:] == ["own_mark", "spoof", "protected_voice"]
    assert len(found.evidence) == 5
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
    old = ["lantern", "meadow", "harbour", "pencil", "orange", "window"]
    challenge = answer(owner, words=old)
    assert challenge.state == "refused"
    assert challenge.examination.reason == "wrong_words"
    assert challenge.template is None


def test_silence_and_noise_do_not_pass(person: Any) -> None:
    for wave in (np.zeros(5 * RATE, np.float32), np.random.default_rng(0).normal(0, 0.1, 5 * RATE).astype(np.float32)):
        challenge = answer(person(), wave)
        assert challenge.state in ("refused", "inconclusive")
        assert challenge.examination.advice["en"]


def test_a_recording_with_our_own_mark_is_refused_also_in_a_rehearsal(person: Any, passed: Challenge) -> None:
    payload = issue_mark(output_ref="00000000-0000-4000-8000-000000000001", rehearsal=True).payload
    marked = embed(script(), RATE, payload, keys.secret("mark"))
    recording = offer(passed, wav(marked))
    assert recording.state == "refused"
    assert recording.examination.reason == "own_mark"


def test_training_speech_of_the_same_person_passes_and_of_another_is_refused(passed: Challenge) -> None:
    mine = offer(passed, wav(script()))
    assert mine.state == "passed", mine.examination.evidence
    assert mine.seconds == pytest.approx(len(script()) / RATE, abs=0.1)
    theirs = offer(passed, wav(script("rms")))
    assert theirs.state == "refused"
    assert theirs.examination.reason == "different_speaker"


def test_training_speech_with_a_stretch_of_somebody_else_names_the_seconds(passed: Challenge) -> None:
    mixed = np.concatenate([script(), script("rms", SENTENCES[:3])])
    recording = offer(passed, wav(mixed))
    assert recording.state == "refused"
    (start, _), *_ = recording.examination.evidence[-1]["details"]["others"]
    assert start > len(script()) / RATE - 4


def test_a_protected_voice_is_refused_without_saying_whose(person: Any) -> None:
    from consent.biometrics import speaker

    embedding = speaker.embed(script(), RATE)
    protect(actor=Actor.of(person("moderator")), embedding=[float(x) for x in embedding], label="A Public Figure")
    misread = {"words_unclear", "wrong_words", "too_little_speech"}
    challenge = next(one for one in (answer(person()) for _ in range(4)) if one.examination.reason not in misread)
    assert challenge.examination.reason == "protected_voice"
    assert "Public Figure" not in str(challenge.examination.evidence)


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
