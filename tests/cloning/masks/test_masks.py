"""A mask is the owner's, needs a yes of its own, ends with its voice, and is spoken through like everything else."""

import io
import json
from typing import Any

import numpy as np
import pytest
import soundfile

from cloning import drift, errors, gate, services, speaking, streaming, tasks
from cloning.engine import voicefile
from cloning.engine.config import tiny
from cloning.manner import Manner
from cloning.masks import making, selectors, wearing
from cloning.masks import services as masks
from cloning.masks.disturbance import Disturbance
from cloning.masks.models import VoiceMask
from cloning.models import Job, Output, SpeechRequest, Voice
from consent.biometrics import speaker
from consent.biometrics.evidence import Verdict
from foundation.audit.models import Leaf
from foundation.errors import NotFound, Refused
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.errors import ClearanceNeeded, KeyDestroyed
from safety import protected
from tests.cloning import factories as make
from tests.cloning.engine.test_synthesis import loud_voice
from tests.consent.readers import RATE, said
from vouch import consents

pytestmark = pytest.mark.django_db
USES = {"own_use": True, "licence_to_others": True, "voice_mask": True}


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def voice(owner) -> Voice:
    return make.voice(owner, make.consent(owner, uses=USES))


def ask(who, voice, **how) -> SpeechRequest:
    return services.request_speech(actor=Actor.of(who), voice_id=voice.id, text=make.TEXT, language="en", **how)


def leaves(kind: str) -> list[dict[str, Any]]:
    found = (json.loads(bytes(leaf.body)) for leaf in Leaf.objects.order_by("index"))
    return [leaf["data"] for leaf in found if leaf["kind"] == kind]


def test_only_the_owner_makes_names_and_ends_masks(owner, voice, person) -> None:
    stranger, customer = person(), person()
    make.licence(voice.consent, customer, scope={"uses": ["voice_mask"]})
    for other in (stranger, customer):
        with pytest.raises(errors.VoiceUnknown):
            masks.request_mask(actor=Actor.of(other), voice_id=voice.id, name="Stage")
    assert not VoiceMask.objects.exists()
    mask = make.mask(voice)
    for other in (stranger, customer):
        with pytest.raises(NotFound):
            masks.rename_mask(actor=Actor.of(other), mask_id=mask.id, name="Mine")
        with pytest.raises(NotFound):
            masks.end_mask(actor=Actor.of(other), mask_id=mask.id)
    mask.refresh_from_db()
    assert (mask.name, mask.state) == ("Stage", "ready")
    # Who may speak through it sees it; nobody else does.
    assert list(selectors.masks(actor=Actor.of(customer), voice_id=voice.id)) == [mask]
    assert selectors.mask(actor=Actor.of(customer), mask_id=mask.id) == mask
    with pytest.raises(NotFound):
        selectors.masks(actor=Actor.of(stranger), voice_id=voice.id)
    with pytest.raises(NotFound):
        selectors.mask(actor=Actor.of(stranger), mask_id=mask.id)
    assert masks.rename_mask(actor=Actor.of(owner), mask_id=mask.id, name=" Night ").name == "Night"


@pytest.mark.parametrize("uses", [{"own_use": True}, {"own_use": True, "voice_mask": False}, {"voice_mask": True}])
def test_without_the_consents_own_yes_no_mask_is_made(owner, uses) -> None:
    voice = make.voice(owner, make.consent(owner, uses=uses))
    with pytest.raises(errors.ConsentScope):
        masks.request_mask(actor=Actor.of(owner), voice_id=voice.id, name="Stage")
    assert not VoiceMask.objects.exists()
    assert leaves("clearance.refused")[-1]["code"] == "consent_scope"


def test_what_cannot_be_a_mask_is_refused_by_name(owner, voice, monkeypatch) -> None:
    actor = Actor.of(owner)

    def refused(error: type[Exception], **asked: Any) -> None:
        before = VoiceMask.objects.count()
        with pytest.raises(error):
            masks.request_mask(**{"actor": actor, "voice_id": voice.id, "name": "Stage", **asked})
        assert VoiceMask.objects.count() == before

    refused(Refused, name=" ")
    refused(Refused, name="x" * 81)
    refused(Refused, seed=2**31)
    Voice.objects.filter(id=voice.id).update(version="v2")
    refused(errors.MaskVersion)
    Voice.objects.filter(id=voice.id).update(version="starter")
    first = masks.request_mask(actor=actor, voice_id=voice.id, name="First")
    refused(errors.MaskBeingMade)
    with pytest.raises(errors.MaskNotReady):
        ask(owner, voice, mask=first.id)
    with pytest.raises(errors.MaskNotReady):
        masks.end_mask(actor=actor, mask_id=first.id)
    services.cancel_jobs_for_consent(consent_id=voice.consent_id, actor=actor)
    first.refresh_from_db()
    assert first.state == "failed"
    assert [leaf["code"] for leaf in leaves("mask.failed")] == ["consent_withdrawn"]
    with pytest.raises(errors.MaskNotReady):
        ask(owner, voice, mask=first.id)
    stage = make.mask(voice)
    refused(errors.MaskExists)
    make.mask(voice, name="Other")
    with pytest.raises(errors.MaskExists):
        masks.rename_mask(actor=actor, mask_id=stage.id, name="Other")
    monkeypatch.setattr(masks, "MOST", 2)
    refused(errors.TooManyMasks, name="Third")


def test_a_mask_is_asked_for_by_name_and_the_gate_knows_whose_it_is(owner, voice, person) -> None:
    mask = make.mask(voice)
    request = ask(owner, voice, mask=mask.id, manner=Manner(speed=0.9))
    assert request.mask_id == mask.id
    assert leaves("speech.requested")[-1]["mask"] == str(mask.id)
    assert gate.clear_speech(actor=make.SYSTEM, request=request)
    with pytest.raises(errors.MaskHasItsOwn):
        ask(owner, voice, mask=mask.id, manner=Manner(pitch=-2.0))
    other = make.voice(owner, make.consent(owner, uses=USES), name="Other")
    with pytest.raises(errors.MaskUnknown):
        ask(owner, other, mask=mask.id)
    # Under a licence the licence has to name masks, too.
    narrow, wide = person(), person()
    make.licence(voice.consent, narrow, scope={"uses": []})
    make.licence(voice.consent, wide, scope={"uses": ["voice_mask"]})
    with pytest.raises(errors.LicenceScope) as found:
        ask(narrow, voice, mask=mask.id)
    assert found.value.extra["clause"] == "uses.voice_mask"
    assert ask(wide, voice, mask=mask.id).job.state == "queued"
    # Ended while a request waits: the second question is a no, and a new request is one at once.
    masks.end_mask(actor=Actor.of(owner), mask_id=mask.id)
    masks.end_mask(actor=Actor.of(owner), mask_id=mask.id)
    assert len(leaves("mask.ended")) == 1
    with pytest.raises(errors.MaskEnded):
        gate.clear_speech(actor=make.SYSTEM, request=request)
    with pytest.raises(errors.MaskEnded):
        ask(owner, voice, mask=mask.id)
    with pytest.raises(errors.MaskEnded):
        masks.rename_mask(actor=Actor.of(owner), mask_id=mask.id, name="Again")
    with pytest.raises(errors.IllegalTransition):
        services.retry_job(actor=Actor.of(owner), job_id=mask.job_id)


def test_a_mask_is_measured_in_its_leaf_and_ends_with_the_consent(owner, voice) -> None:
    mask = make.mask(voice, style=np.arange(4, dtype=np.float32))
    assert (mask.likeness, mask.limit, mask.others_below) == (0.612, protected.SAME_VOICE, 0.55)
    told = leaves("mask.ready")[-1]
    assert (told["likeness"], told["limit"], told["others_below"]) == (0.612, protected.SAME_VOICE, 0.55)
    assert set(told) == {"voice", "job", "likeness", "limit", "others_below", "model"}  # and not how it is done
    assert np.frombuffer(vault.read(sealed_object=mask.style, actor=make.SYSTEM), "<f4").tolist() == [0, 1, 2, 3]
    with pytest.raises(ClearanceNeeded):
        vault.read(sealed_object=voice.weights, actor=make.SYSTEM)
    consents.withdraw(actor=Actor.of(owner), consent_id=voice.consent_id)
    mask.refresh_from_db()
    assert (mask.state, mask.disturbance) == ("ended", {})
    assert leaves("mask.ended")[-1]["reason"] == "voice_destroyed"
    with pytest.raises(KeyDestroyed):
        vault.read(sealed_object=mask.style, actor=make.SYSTEM)


def test_a_candidate_is_taken_when_it_is_far_from_the_person_and_near_to_nobody(owner, voice, person) -> None:
    known, asked = said("Nobody knew why the green door had been left open all night."), said(make.TEXT)
    plain = making.Plain(known, asked, RATE, tuple(speaker.embed(one, RATE) for one in (known, asked)))
    nothing = Disturbance(0.0, 0.0, 1.6)
    other = said("Please bring the long ladder and two buckets of paint.", voice="rms")
    assert making._measured(plain, asked, nothing, voice) is None  # the person's own voice
    likeness, below = making._measured(plain, other, nothing, voice)
    assert likeness < making.LIMIT
    assert below == making.LEAST_BOUND
    # The same sound, once somebody like that is protected or enrolled.
    embedding = [float(number) for number in speaker.embed(other, RATE)]
    kept = protected.add(embedding=embedding, source="moderator", label="A", actor=make.SYSTEM)
    assert making._measured(plain, other, nothing, voice) is None
    protected.remove(voice=kept, reason="test", actor=make.SYSTEM)
    stranger = person()
    protected.enrol(
        person_id=stranger.id, consent_ref="x", embedding=embedding, not_after=voice.consent.valid_until,
        actor=make.SYSTEM,
    )  # fmt: skip
    assert making._measured(plain, other, nothing, voice) is None
    # Somebody behind a mask who is heard after all: nothing of that leaves.
    with pytest.raises(errors.MaskSlipped):
        masked_as(voice, embedding, other)


def masked_as(voice: Voice, embedding: list[float], sound: np.ndarray) -> None:
    protected.enrol(
        person_id=voice.owner_id, consent_ref=str(voice.consent_id), embedding=embedding,
        not_after=voice.consent.valid_until, actor=make.SYSTEM,
    )  # fmt: skip
    assert drift.listen(sound, RATE, owner_id=voice.owner_id)["output.compared"] is True
    drift.listen(sound, RATE, owner_id=voice.owner_id, behind=voice.consent_id)


@pytest.mark.parametrize(("nearest", "below"), [(-1.0, 0.5), (0.49, 0.5), (0.5, 0.55), (0.5501, 0.6), (0.79, 0.8)])
def test_the_bound_says_less_than_was_measured(nearest, below) -> None:
    assert making.bound(nearest) == below


@pytest.mark.django_db(transaction=True)
def test_masked_speech_says_so_and_is_no_upload(owner) -> None:
    """Real engine, vault, seal and trace; the voice is a tiny one that hums."""
    from consent.examiners import _own_mark

    built = loud_voice(tiny())
    voice = make.voice(owner, make.consent(owner, uses=USES), weights=voicefile.pack(built))
    style = np.linspace(-1, 1, built.config.acoustic.style).astype(np.float32)
    mask = make.mask(voice, style=style)
    request = ask(owner, voice, mask=mask.id, seed=5, container="flac")
    plain = ask(owner, voice, seed=5)
    tasks.speak.run(str(request.job_id))
    job = Job.objects.get(id=request.job_id)
    assert job.state == "succeeded", (job.error_code, job.error_detail)
    made = Output.objects.get(request=request)
    assert made.provenance["statement"]["voice_mask"] is True
    assert leaves("output.sealed")[-1]["mask"] == str(mask.id)
    wave, rate = soundfile.read(io.BytesIO(vault.read(sealed_object=made.sealed, actor=make.SYSTEM)), dtype="float32")
    evidence = _own_mark(wave, rate)
    assert (evidence.verdict, evidence.reason) == (Verdict.REFUSE, "own_mark")
    # A stream wears the same mask: its speech is the whole recording's, and not the bare voice's.
    again, data = _as_new(request), voicefile.pack(built)
    masked, bare = (
        np.concatenate([piece.pcm for piece in streaming.pieces(data, one)]) for one in (again, _as_new(plain))
    )
    worn = wearing.worn(again)
    whole = speaking._shifted(speaking._synthesise(data, again, worn, lambda *told: None), worn)
    assert len(whole.pcm) == len(masked) == len(bare)
    assert np.abs(whole.pcm - masked).max() < 0.05
    assert np.abs(whole.pcm - bare).max() > 0.05


def _as_new(request: SpeechRequest) -> SpeechRequest:
    again = SpeechRequest.objects.select_related("voice", "mask").get(id=request.id)
    again.text = make.TEXT
    return again


@pytest.mark.django_db(transaction=True)
def test_a_voice_that_cannot_be_measured_gets_no_mask(owner) -> None:
    voice = make.voice(owner, make.consent(owner, uses=USES), weights=voicefile.pack(loud_voice(tiny())))
    mask = masks.request_mask(actor=Actor.of(owner), voice_id=voice.id, name="Stage", seed=1)
    tasks.mask.run(str(mask.job_id))
    mask.refresh_from_db()
    job = Job.objects.get(id=mask.job_id)
    assert (job.state, mask.state) == ("failed", "failed")
    assert job.error_code in ("mask_unmeasured", "mask_not_found")
    assert [leaf["code"] for leaf in leaves("mask.failed")] == [job.error_code]
    assert mask.style is None
