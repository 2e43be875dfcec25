"""The gate: each yes is a clearance the vault accepts, each no has its name, and both are in the log."""

import json
from datetime import timedelta

import pytest

from cloning import errors, gate, policy_facts, services
from cloning.models import Job, Output, SpeechRequest, Voice
from cloning.sketches import sketch
from cloning.texts import digest
from consent.models import Consent
from foundation import clock, keys
from foundation.audit.models import Leaf
from foundation.clock import now
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.clearance import verify
from foundation.vault.errors import ClearanceMismatch, ClearanceUsed
from safety import strikes
from safety.models import Restriction
from safety.services import lift, restrict
from tests.cloning import factories as make
from tests.safety import desk

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def under(owner) -> Consent:
    return make.consent(owner)


@pytest.fixture
def voice(owner, under) -> Voice:
    return make.voice(owner, under)


def ask(requester, voice: Voice, text: str = make.TEXT, language: str = "en") -> SpeechRequest:
    return services.request_speech(actor=Actor.of(requester), voice_id=voice.id, text=text, language=language)


def clear(request: SpeechRequest) -> str:
    return gate.clear_speech(actor=make.SYSTEM, request=request)


def last_leaf(kind: str) -> dict:
    return json.loads(bytes(Leaf.objects.filter(kind=kind).latest("index").body))


def test_the_owner_gets_a_clearance_for_exactly_this_text_in_exactly_this_voice(owner, voice) -> None:
    request = ask(owner, voice)
    cleared = verify(clear(request), public_key=keys.public_key("gate"), now=now())
    assert (cleared.purpose, cleared.voice_id, cleared.digest) == ("speak", voice.id, digest(make.TEXT))
    assert (cleared.requester_id, cleared.consent_id, cleared.licence_id) == (owner.id, voice.consent_id, None)
    assert cleared.rehearsal is True
    assert cleared.expires_at - cleared.issued_at == gate.CLEARANCE_LIFE
    leaf = last_leaf("clearance.issued")
    assert leaf["data"]["clearance"] == str(cleared.id)
    assert leaf["rehearsal"] is True


def test_the_vault_opens_the_voice_once_with_it_and_only_for_that_text(owner, voice) -> None:
    token = clear(ask(owner, voice))
    with pytest.raises(ClearanceMismatch):
        vault.open_voice(clearance=token, sealed_object=voice.weights, digest=digest("other"), actor=make.SYSTEM)
    opened = vault.open_voice(clearance=token, sealed_object=voice.weights, digest=digest(make.TEXT), actor=make.SYSTEM)
    assert opened == b"weights"
    with pytest.raises(ClearanceUsed):
        vault.open_voice(clearance=token, sealed_object=voice.weights, digest=digest(make.TEXT), actor=make.SYSTEM)


def test_a_second_person_needs_a_licence_and_then_speaks_under_it(person, voice, under) -> None:
    other = person()
    with pytest.raises(errors.NoLicence):
        ask(other, voice)
    assert last_leaf("clearance.refused")["data"]["code"] == "no_licence"
    granted = make.licence(under, other, cap=100)
    request = ask(other, voice)
    granted.refresh_from_db()
    assert granted.characters_reserved == len(make.TEXT) == request.reserved
    cleared = verify(clear(request), public_key=keys.public_key("gate"), now=now())
    assert cleared.licence_id == granted.id


def test_a_licence_never_covers_more_characters_than_its_cap(person, voice, under) -> None:
    other = person()
    granted = make.licence(under, other, cap=len(make.TEXT) + 10)
    ask(other, voice)
    with pytest.raises(errors.LicenceCap):
        ask(other, voice)
    granted.refresh_from_db()
    assert granted.characters_reserved == len(make.TEXT)


def test_a_private_voice_answers_like_one_that_does_not_exist(person, owner) -> None:
    private = make.voice(owner, make.consent(owner, uses={"own_use": True, "licence_to_others": False}))
    with pytest.raises(errors.VoiceUnknown) as foreign:
        ask(person(), private)
    private.id = private.consent_id
    with pytest.raises(errors.VoiceUnknown) as unknown:
        ask(person(), private)
    assert (foreign.value.code, foreign.value.status, foreign.value.detail) == (
        unknown.value.code,
        unknown.value.status,
        unknown.value.detail,
    )


def test_own_use_must_be_agreed_to(owner) -> None:
    voice = make.voice(owner, make.consent(owner, uses={"own_use": False, "licence_to_others": True}))
    with pytest.raises(errors.ConsentScope):
        ask(owner, voice)


def test_only_languages_of_the_consent_and_of_the_licence_are_spoken(person, owner, voice, under) -> None:
    with pytest.raises(errors.ConsentScope):
        ask(owner, voice, "你好，世界", "zh")
    other = person()
    both = make.voice(owner, make.consent(owner, languages=["en", "zh"]))
    make.licence(both.consent, other, scope={"languages": ["zh"]})
    with pytest.raises(errors.LicenceScope):
        ask(other, both)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"state": "withdrawn"}, errors.ConsentWithdrawn),
        ({"state": "expired"}, errors.ConsentExpired),
    ],
)
def test_a_consent_that_ended_between_request_and_work_stops_the_work(owner, voice, change, refusal) -> None:
    request = ask(owner, voice)
    Consent.objects.filter(id=voice.consent_id).update(**change, ended_at=now(), ended_leaf=0)
    with pytest.raises(refusal):
        clear(request)
    with pytest.raises(refusal):
        ask(owner, voice)
    assert last_leaf("clearance.refused")["data"]["code"] == refusal.code


def test_a_consent_past_its_date_is_over_even_before_anybody_marks_it(owner) -> None:
    voice = make.voice(owner, make.consent(owner, days=2))
    clock.move_forward(timedelta(days=2))
    with pytest.raises(errors.ConsentExpired):
        ask(owner, voice)


def test_policy_refuses_holds_and_a_moderators_yes_lets_one_text_through(person, owner, voice) -> None:
    request = ask(owner, voice, make.HELD_TEXT)
    assert request.job.state == "held"
    assert request.case_ref is not None
    with pytest.raises(errors.HeldForModerator):
        clear(request)
    make.decided(request, by=person(role="moderator"))
    assert clear(request)
    assert ask(owner, voice, make.HELD_TEXT).job.state == "queued"
    # The yes is for this text only.
    assert ask(owner, voice, make.HELD_TEXT + " Please.").job.state == "held"


@pytest.mark.parametrize("kind", ["person", "voice", "text"])
def test_a_restriction_on_person_voice_or_text_stops_it(person, owner, voice, kind) -> None:
    request = ask(owner, voice)
    subject = {"person": str(owner.id), "voice": str(voice.id), "text": digest(make.TEXT)}[kind]
    effect = {"person": "block", "voice": "pause", "text": "forbid"}[kind]
    restrict(
        actor=Actor.of(person(role="moderator")),
        subject_kind=kind,
        subject_ref=subject,
        effect=effect,
        reason="reported",
        clause="policy.abuse",
    )
    with pytest.raises(errors.Restricted):
        clear(request)
    with pytest.raises(errors.Restricted):
        ask(owner, voice)


@pytest.mark.parametrize("text", [make.TEXT, make.TEXT.replace("lovely", "fine"), "T h e " + make.TEXT.upper()[4:]])
def test_what_was_removed_is_not_made_again_with_small_edits(person, owner, voice, text) -> None:
    request = ask(owner, voice)
    key = vault.create_key(kind="output", owner_ref="test", actor=make.SYSTEM)
    sealed = vault.store(key=key, kind="output", owner_ref="test", data=b"sound", not_after=None, actor=make.SYSTEM)
    made = Output.objects.create(
        request=request, voice=voice, requester=owner, sealed=sealed, media_type="audio/wav", sha256="0" * 64,
        seconds=1.0, label_seconds=1.0, mark_payload=17, provenance={}, leaf_index=0, rehearsal=True,
    )  # fmt: skip
    moderator, other = Actor.of(person(role="moderator")), "The ship leaves the harbour at noon and nobody waves."
    ask(owner, voice, text)
    kept = restrict(
        actor=moderator, subject_kind="output", subject_ref=str(made.id), effect="quarantine", reason="reported",
        clause="policy.abuse",
    )  # fmt: skip
    requests = SpeechRequest.objects.count()
    with pytest.raises(errors.Restricted):
        ask(owner, voice, text)
    assert SpeechRequest.objects.count() == requests
    ask(owner, voice, other)
    lift(actor=moderator, restriction_id=kept.id, reason="a mistake", interested=())
    ask(owner, voice, text)


def test_what_was_removed_stays_down_however_much_was_removed_after_it(person, owner, voice) -> None:
    key = vault.create_key(kind="output", owner_ref="test", actor=make.SYSTEM)
    sealed = vault.store(key=key, kind="output", owner_ref="test", data=b"sound", not_after=None, actor=make.SYSTEM)
    first = ask(owner, voice)
    count = 230
    jobs = Job.objects.bulk_create(Job(kind="speak", voice=voice, requester=owner) for _ in range(count))
    others = SpeechRequest.objects.bulk_create(
        SpeechRequest(
            job=job, voice=voice, requester=owner, text_digest=f"{n:064x}", characters=9, language="en", seed=1,
            container="wav", text_sketch=sketch(f"Another line, the one of number {n}.", voice=voice.id),
        )
        for n, job in enumerate(jobs)
    )  # fmt: skip
    made = Output.objects.bulk_create(
        Output(request=one, voice=voice, requester=owner, sealed=sealed, media_type="audio/wav", sha256="0" * 64,
               seconds=1.0, label_seconds=1.0, mark_payload=n, provenance={}, leaf_index=0, rehearsal=True)
        for n, one in enumerate([first, *others])
    )  # fmt: skip
    fields = {"subject_kind": "output", "effect": "quarantine", "reason": "x", "reason_salt": "", "clause": "x"}
    Restriction.objects.bulk_create(Restriction(subject_ref=str(one.id), **fields) for one in made)
    for text in (make.TEXT, make.TEXT.replace("lovely", "fine")):
        with pytest.raises(errors.Restricted):
            ask(owner, voice, text)
    Restriction.objects.filter(subject_ref=str(made[0].id)).update(
        state="lifted", lifted_at=now(), lift_reason="a mistake"
    )
    ask(owner, voice, make.TEXT.replace("lovely", "fine"))


def test_points_of_strikes_are_a_fact_of_the_policy(person, owner, voice) -> None:
    moderator = person(role="moderator")
    case = desk.hold(owner, voice=str(voice.id))
    desk.settled(moderator, case, "refuse", about=owner.id)
    points = strikes.standing(owner.id)
    assert points > 0
    assert policy_facts.known(voice=voice, licence=None, requester_id=owner.id)["requester.strikes"] == points


def test_a_rehearsal_voice_speaks_in_a_rehearsal_only(owner, voice, settings) -> None:
    request = ask(owner, voice)
    settings.REHEARSAL = False
    with pytest.raises(errors.RehearsalOnly):
        clear(request)


def test_a_text_changed_behind_the_services_back_is_not_spoken(owner, voice) -> None:
    request = ask(owner, voice)
    request.text = "Something else."
    with pytest.raises(errors.TextChanged):
        clear(request)


def test_training_is_cleared_for_the_set_that_was_approved_and_no_other(owner, under) -> None:
    made = services.request_voice(actor=Actor.of(owner), consent_id=under.id, name="New", language="en")
    with pytest.raises(errors.TrainingSetChanged):
        gate.clear_training(actor=make.SYSTEM, voice=made, digest="0" * 64)
    token = gate.clear_training(actor=make.SYSTEM, voice=made, digest=made.training_digest)
    cleared = verify(token, public_key=keys.public_key("gate"), now=now())
    assert (cleared.purpose, cleared.voice_id, cleared.digest) == ("train", made.id, made.training_digest)


def test_no_voice_is_trained_under_another_persons_consent(person, under) -> None:
    with pytest.raises(errors.VoiceUnknown):
        services.request_voice(actor=Actor.of(person()), consent_id=under.id, name="Stolen", language="en")
    assert not Voice.objects.exists()


def test_no_leaf_shows_a_text(person, owner, voice) -> None:
    ask(owner, voice)
    ask(owner, voice, make.HELD_TEXT)
    bodies = b"".join(bytes(body) for body in Leaf.objects.values_list("body", flat=True))
    assert b"Grandma" not in bodies
    assert b"lovely" not in bodies
