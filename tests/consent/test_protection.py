"""Forbidding the cloning of a voice: one's own by a live challenge, another's with documents and two approvals."""

import struct
from typing import Any

import pytest

from consent import errors, protection, recordings, services, tasks
from consent.models import Consent
from consent.review_models import ReviewKind
from foundation.errors import NotFound
from foundation.identity.actors import Actor
from safety import protected
from safety.models import ProtectedVoice
from safety.policy import decisions
from tests.consent import factories as make
from tests.consent.readers import script, wav
from tests.consent.test_reviews import asked, paper, voted

pytestmark = pytest.mark.django_db
UNIT = list(struct.unpack("<256f", make.TEMPLATE))


def forbid(owner: Any) -> ProtectedVoice:
    return protection.forbid_own(actor=Actor.of(owner), challenge_id=make.passed_challenge(owner).id)


def test_a_speaker_forbids_the_cloning_of_their_own_voice_and_it_is_found(person: Any) -> None:
    made = forbid(person())
    assert (made.source, made.state) == ("own", "active")
    (hit,) = protected.search(embedding=UNIT)
    assert (hit.kind, hit.ref) == ("protected", str(made.id))
    # The owner's own challenge finds it too, and their own outputs are not held against it.
    assert protected.search(embedding=UNIT, besides=made.person_id)
    assert protected.nearest(embedding=UNIT, besides=made.person_id).protected == -1.0


def test_a_forbidden_voice_gives_no_consent_and_a_consent_in_force_is_withdrawn_first(person: Any) -> None:
    owner = person()
    challenge = make.passed_challenge(owner)
    recording = make.passed_recording(challenge)
    protection.forbid_own(actor=Actor.of(owner), challenge_id=challenge.id)
    with pytest.raises(errors.OwnVoiceForbidden):
        services.give_consent(**make.terms(challenge, recording))
    with pytest.raises(errors.AlreadyProtected):
        forbid(owner)
    assert not Consent.objects.exists()
    other = person()
    given = make.passed_challenge(other)
    services.give_consent(**make.terms(given, make.passed_recording(given)))
    with pytest.raises(errors.ConsentInForce):
        forbid(other)


def test_one_challenge_serves_once(person: Any) -> None:
    owner = person()
    challenge = make.passed_challenge(owner)
    made = protection.forbid_own(actor=Actor.of(owner), challenge_id=challenge.id)
    protection.lift(actor=Actor.of(owner), protected_id=made.id)
    for use in (
        lambda: protection.forbid_own(actor=Actor.of(owner), challenge_id=challenge.id),
        lambda: services.give_consent(**make.terms(challenge, make.passed_recording(challenge))),
    ):
        with pytest.raises(errors.ChallengeUsed):
            use()


def test_only_who_asked_lifts_it_and_then_the_template_is_gone(person: Any) -> None:
    made = forbid(person())
    with pytest.raises(NotFound):
        protection.lift(actor=Actor.of(person()), protected_id=made.id)
    assert protected.search(embedding=UNIT)
    assert protection.lift(actor=Actor.of(made.person), protected_id=made.id).state == "removed"
    assert protection.lift(actor=Actor.of(made.person), protected_id=made.id).state == "removed"
    assert protected.search(embedding=UNIT) == []
    made.refresh_from_db()
    assert made.template.key.state == "destroyed"


def test_somebody_else_s_challenge_forbids_nothing(person: Any) -> None:
    challenge = make.passed_challenge(person())
    with pytest.raises(NotFound):
        protection.forbid_own(actor=Actor.of(person()), challenge_id=challenge.id)
    assert not ProtectedVoice.objects.exists()


# -- representatives --------------------------------------------------------------------------------------------------


def approved(person: Any) -> Any:
    review = asked(person(), kind=ReviewKind.REPRESENTATIVE)
    paper(review)
    voted(review, person("moderator"))
    return voted(review, person("moderator"))


def offered(review: Any, content: bytes = b"") -> Any:
    actor = Actor.of(review.person)
    made = protection.create_recording(actor=actor, review_id=review.id, language="en", transcript="What is said.")
    make.decide(
        recordings.receive_content(actor=actor, recording_id=made.id, stream=[content or wav(script())]), seconds=9.0
    )
    made.refresh_from_db()
    return made


def test_a_representative_s_two_approvals_protect_a_voice_and_its_name(
    person: Any, django_capture_on_commit_callbacks: Any, monkeypatch: Any
) -> None:
    review = approved(person)
    recording = offered(review)
    sent: list[tuple[str, str]] = []
    monkeypatch.setattr(tasks.protect_represented, "delay", lambda *ids: sent.append(ids))
    with django_capture_on_commit_callbacks(execute=True):
        protection.forbid_represented(actor=Actor.of(review.person), review_id=review.id, recording_id=recording.id)
    assert sent == [(str(review.id), str(recording.id))]
    tasks.protect_represented(*sent[0])
    tasks.protect_represented(*sent[0])
    made = ProtectedVoice.objects.get()
    assert (made.source, made.public_name) == ("representative", review.speaker_name)
    assert decisions.protected_names(f"I am {review.speaker_name.upper()}.") == 1
    held = decisions.judge(f"I am the one and only {review.speaker_name}.", language="en", known={})
    assert (held.outcome, held.rule) == ("hold", "impersonation.protected-name")
    with pytest.raises(errors.AlreadyProtected):
        protection.forbid_represented(actor=Actor.of(review.person), review_id=review.id, recording_id=recording.id)


def test_one_approval_or_a_recording_that_did_not_pass_protects_nothing(person: Any) -> None:
    review = asked(person(), kind=ReviewKind.REPRESENTATIVE)
    paper(review)
    voted(review, person("moderator"))
    with pytest.raises(errors.ReviewNotApproved):
        protection.create_recording(
            actor=Actor.of(review.person), review_id=review.id, language="en", transcript="What is said."
        )
    voted(review, person("moderator"))
    waiting = protection.create_recording(
        actor=Actor.of(review.person), review_id=review.id, language="en", transcript="What is said."
    )
    with pytest.raises(errors.RecordingNotPassed):
        protection.forbid_represented(actor=Actor.of(review.person), review_id=review.id, recording_id=waiting.id)
    with pytest.raises(errors.RecordingNotPassed):
        protection.listen_and_forbid(review_id=review.id, recording_id=waiting.id)
    with pytest.raises(NotFound):
        protection.forbid_represented(actor=Actor.of(person()), review_id=review.id, recording_id=waiting.id)
    assert not ProtectedVoice.objects.exists()
