"""What the tests of the desk share: a text that is held, and the steps of a moderator."""

import hashlib
from datetime import timedelta

from django.conf import settings

from foundation import clock
from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from safety import rulings, selectors, services
from safety.policy import evaluate

TEXT = "Grandma, I had an accident, please send the money today and do not tell anyone."
DIGEST = hashlib.sha256(TEXT.encode()).hexdigest()
VOICE = "0e4f3c1a-5d0b-4c39-9d6f-6f2f5a1c7b10"
SYSTEM = Actor.system("test")


def nobody(*subject):
    """What the rooms above answer when nobody has a stake; the services take no such answer for granted."""
    return ()


def hold(person, text=TEXT, voice=VOICE):
    digest = hashlib.sha256(text.encode()).hexdigest()
    return services.hold_text(
        requester_id=person.id,
        voice_ref=voice,
        text=text,
        text_digest=digest,
        verdict=evaluate(text, language="en"),
        actor=Actor.of(person),
    )


def decide(moderator, case, decision, **more):
    services.claim_case(actor=Actor.of(moderator), case_id=case.id, interested=())
    fields = {"reason": "I looked at it.", "clause": "fraud.family-emergency", **more}
    return services.decide_case(actor=Actor.of(moderator), case_id=case.id, decision=decision, **fields, interested=())


def kinds():
    return list(Leaf.objects.order_by("index").values_list("kind", flat=True))


def approved(person, text=TEXT, voice=VOICE):
    digest = hashlib.sha256(text.encode()).hexdigest()
    return selectors.approval_for(text_digest=digest, voice_ref=voice, requester_id=person.id)


def rule(moderator, case, decision, **more):
    """The desk's way: claimed, ruled, not yet in force."""
    services.claim_case(actor=Actor.of(moderator), case_id=case.id, interested=())
    fields = {"reason": "I looked at it.", "clause": "fraud.family-emergency", **more}
    return services.rule(actor=Actor.of(moderator), case_id=case.id, decision=decision, **fields, interested=())


def settled(moderator, case, decision, *, about=None, senior=None, **more):
    """Ruled, agreed to where that is needed, and in force."""
    ruling = rule(moderator, case, decision, **more)
    if senior is not None:
        services.second(actor=Actor.of(senior), case_id=case.id, agree=True, interested=())
    clock.move_forward(timedelta(seconds=settings.VOUCH_UNDO_SECONDS + 1))
    return rulings.settle(ruling_id=ruling.id, about=about)


def reported(person, kind="voice", ref=VOICE, text="Odd."):
    return services.report(actor=Actor.of(person), subject_kind=kind, subject_ref=str(ref), text=text).case
