"""Two moderators decide by hand: who may ask, who may vote, what it takes, and what becomes of the papers."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from consent import errors, receipts, recordings, reviews, selectors, services, unmeasured
from consent.models import Consent, Review, ReviewVote
from foundation.audit.models import Leaf
from foundation.clock import move_forward
from foundation.errors import NotAllowed, NotFound, TooLarge
from foundation.identity.actors import Actor
from foundation.vault.errors import PastDeadline
from retention import custody
from retention.models import CustodyItem
from tests.consent.factories import ACT, decide, passed_challenge, passed_recording, terms

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
PDF = b"%PDF-1.7\nPower of attorney"


def asked(person: Any, **more: Any) -> Review:
    return reviews.ask(
        **{
            "actor": Actor.of(person), "kind": "representative", "standing": "agent", "speaker": "adult",
            "speaker_name": "Ada Speaker", "statement": "I am her agent; the contract is attached.", **more,
        }
    )  # fmt: skip


def without(person: Any) -> Review:
    return asked(person, kind="without_biometrics", standing="self", statement="My voice changes with my illness.")


def paper(review: Review, content: bytes = PDF) -> Any:
    return reviews.add_document(actor=Actor.of(review.person), review_id=review.id, stream=[content])


def voted(review: Review, moderator: Any, approve: bool = True) -> Review:
    return reviews.vote(actor=Actor.of(moderator), review_id=review.id, approve=approve, reason="Seen and checked.")


def approved(person: Any, review: Review) -> Review:
    paper(review)
    for _ in range(reviews.APPROVALS):
        voted(review, person("moderator"))
    review.refresh_from_db()
    return review


def test_two_moderators_approve_and_the_papers_are_gone(person: Any) -> None:
    review = asked(person())
    document = paper(review)
    one, other = person("moderator"), person("moderator")
    assert reviews.open_document(actor=Actor.of(one), document_id=document.id)[1] == PDF
    assert voted(review, one).state == "open"
    assert voted(review, other).state == "approved"
    document.custody.refresh_from_db()
    assert document.custody.state == "destroyed"
    with pytest.raises(errors.ReviewClosed):
        reviews.open_document(actor=Actor.of(other), document_id=document.id)
    subjects = [bytes(leaf.body).decode() for leaf in Leaf.objects.filter(kind__startswith="case.")]
    assert len(subjects) == 4  # asked, opened a document, two words
    assert all("Ada Speaker" not in body and "contract" not in body for body in subjects)


def test_one_moderator_is_never_two(person: Any) -> None:
    review = asked(person())
    paper(review)
    moderator = person("moderator")
    voted(review, moderator)
    with pytest.raises(errors.VotedBefore):
        voted(review, moderator)
    review.refresh_from_db()
    assert review.state == "open"
    with pytest.raises(errors.ReviewNotApproved), transaction.atomic():
        reviews.usable(actor=Actor.of(review.person), review_id=review.id, kind=review.kind)


def test_one_no_refuses_for_good(person: Any) -> None:
    review = asked(person())
    paper(review)
    voted(review, person("moderator"))
    assert voted(review, person("moderator"), approve=False).state == "refused"
    with pytest.raises(errors.ReviewClosed):
        voted(review, person("moderator"))


@pytest.mark.parametrize(
    ("speaker", "error"),
    [("minor", errors.AgeRefused), ("deceased", errors.DeceasedRefused)],
    ids=["minor", "deceased"],
)
def test_children_and_the_dead_are_refused_with_the_reason(person: Any, speaker: str, error: type) -> None:
    with pytest.raises(error):
        asked(person(), speaker=speaker)
    assert not Review.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "anything"}, {"standing": "friend"}, {"standing": "self"}, {"speaker": "nobody"}, {"statement": "  "},
        {"speaker_name": ""}, {"kind": "without_biometrics"}, {"statement": "x" * 2001},
    ],
    ids=["kind", "standing", "represents-self", "speaker", "no-statement", "no-name", "not-self", "long"],
)  # fmt: skip
def test_a_review_says_what_is_asked_and_why(person: Any, change: dict[str, Any]) -> None:
    with pytest.raises(errors.ReviewInvalid):
        asked(person(), **change)
    assert not Review.objects.exists()


def test_one_review_of_a_kind_at_a_time(person: Any) -> None:
    owner = person()
    asked(owner)
    with pytest.raises(errors.ReviewOpen):
        asked(owner)
    without(owner)


def test_who_may_not(person: Any) -> None:
    moderator = person("moderator")
    review = asked(moderator)
    document = paper(review)
    for actor, error in [
        (Actor.of(moderator), errors.OwnReview), (Actor.of(person()), NotAllowed),
        (Actor.of(person("operator")), NotAllowed), (SYSTEM, NotAllowed),
    ]:  # fmt: skip
        with pytest.raises(error):
            reviews.vote(actor=actor, review_id=review.id, approve=True, reason="Mine.")
        with pytest.raises(error):
            reviews.open_document(actor=actor, document_id=document.id)
    stranger = Actor.of(person())
    with pytest.raises(NotFound):
        reviews.add_document(actor=stranger, review_id=review.id, stream=[PDF])
    with pytest.raises(NotFound):
        selectors.review_of(actor=stranger, review_id=review.id)
    with pytest.raises(NotAllowed):
        selectors.review_queue(actor=stranger)
    assert list(selectors.review_queue(actor=Actor.of(moderator))) == []
    assert not ReviewVote.objects.exists()


def test_documents_are_what_they_say_few_and_small(person: Any) -> None:
    review = asked(person())
    for wrong in (b"", b"%PD", b"<html>not a pdf</html>", b"RIFF" + bytes(100)):
        with pytest.raises(errors.DocumentUnsupported):
            paper(review, wrong)
    kinds = [paper(review, magic + bytes(20)).media_type for magic in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")]
    assert kinds == ["image/png", "image/jpeg"]
    with pytest.raises(TooLarge):
        paper(review, PDF + bytes(reviews.MAX_DOCUMENT_BYTES))
    for _ in range(reviews.MAX_DOCUMENTS - 2):
        paper(review)
    with pytest.raises(errors.TooManyDocuments):
        paper(review, b"%PDF-one too many")
    held = CustodyItem.objects.filter(purpose="document").exclude(state="destroyed")
    assert held.count() == reviews.MAX_DOCUMENTS
    assert all(item.deadline <= review.expires_at for item in held)


def test_nothing_is_approved_without_a_document(person: Any) -> None:
    with pytest.raises(errors.DocumentMissing):
        voted(asked(person()), person("moderator"))


def test_a_review_nobody_decides_lapses_with_its_documents(person: Any) -> None:
    review = asked(person())
    document = paper(review)
    move_forward(timedelta(hours=72))
    with pytest.raises(errors.ReviewClosed):
        voted(review, person("moderator"))
    with pytest.raises(PastDeadline):
        custody.read(item=document.custody, actor=SYSTEM)
    services.expire_consents()
    review.refresh_from_db()
    document.custody.refresh_from_db()
    assert (review.state, document.custody.state) == ("lapsed", "destroyed")
    assert reviews.lapse_overdue() == 0


def test_the_database_keeps_words_and_questions_as_they_were(person: Any) -> None:
    review = approved(person, asked(person()))
    vote = review.votes.earliest("at")
    for change in (
        lambda: ReviewVote.objects.filter(id=vote.id).update(approve=False),
        lambda: ReviewVote.objects.filter(id=vote.id).delete(),
        lambda: Review.objects.filter(id=review.id).update(speaker_name="Another"),
        lambda: ReviewVote.objects.create(
            review=review, moderator=vote.moderator, approve=True, reason="x", leaf_index=1
        ),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


def test_a_representative_consents_once_for_the_speaker_who_was_heard_live(person: Any) -> None:
    agent = person()
    review = approved(person, asked(agent))
    challenge = passed_challenge(agent)
    recording = passed_recording(challenge)
    with pytest.raises(errors.TextUnknown):
        services.give_consent(**terms(challenge, recording, review_id=review.id))
    given = services.give_consent(**terms(challenge, recording, review_id=review.id, text_version="represented-en-1"))
    assert (given.basis, given.statement["speaker"]) == ("representative", "Ada Speaker")
    assert given.statement["person"]["name"] == agent.display_name
    [item] = [item for item in given.evidence if item["of"] == "review"]
    assert (item["approvals"], len(item["documents"]), item["standing"]) == (2, 1, "agent")
    again = passed_challenge(agent)
    with pytest.raises(errors.ReviewNotApproved):
        services.give_consent(
            **terms(again, passed_recording(again), review_id=review.id, text_version="represented-en-1")
        )


def test_an_approval_is_its_askers_own_and_runs_out(person: Any) -> None:
    review = approved(person, asked(person()))
    other = passed_challenge(person())
    with pytest.raises(NotFound):
        services.give_consent(
            **terms(other, passed_recording(other), review_id=review.id, text_version="represented-en-1")
        )
    move_forward(reviews.USABLE)
    late = passed_challenge(review.person)
    with pytest.raises(errors.ReviewNotApproved):
        services.give_consent(
            **terms(late, passed_recording(late), review_id=review.id, text_version="represented-en-1")
        )
    assert not Consent.objects.exists()


def test_the_way_without_biometrics_keeps_no_template_and_still_leaves_a_receipt(person: Any) -> None:
    owner = person()
    review = without(owner)
    actor = Actor.of(owner)
    with pytest.raises(errors.ReviewNotApproved):
        unmeasured.create_recording(actor=actor, review_id=review.id, language="en", transcript="Words.")
    approved(person, review)
    made = unmeasured.create_recording(actor=actor, review_id=review.id, language="en", transcript="Words.")
    decide(recordings.receive_content(actor=actor, recording_id=made.id, stream=[b"sound"]), seconds=60.0)
    fields: dict[str, Any] = {
        "actor": actor, "act": ACT, "review_id": review.id, "recording_ids": [made.id], "uses": {"own_use": True},
        "languages": ["en"], "term_days": 30, "territory": "worldwide", "text_version": "unmeasured-en-1",
    }  # fmt: skip
    with pytest.raises(errors.TextUnknown):
        unmeasured.give_consent(**{**fields, "text_version": "en-1"})
    given = unmeasured.give_consent(**fields)
    assert (given.basis, given.template, given.template_key, given.challenge) == (
        "without_biometrics",
        None,
        None,
        None,
    )
    assert given.biometric_release == ""
    assert receipts.compact_text(given).startswith("VOUCH1:")
    whats = [one.what for one in services.withdraw_consent(actor=actor, consent_id=given.id)]
    assert whats == ["consent.withdrawn", "recording.destroyed"]


def test_a_representatives_review_opens_no_way_without_biometrics(person: Any) -> None:
    review = approved(person, asked(person()))
    with pytest.raises(errors.ReviewNotApproved):
        unmeasured.create_recording(
            actor=Actor.of(review.person), review_id=review.id, language="en", transcript="Words."
        )
