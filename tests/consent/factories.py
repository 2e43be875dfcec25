"""People who have got this far: a passed challenge, passed recordings, a consent. Made through the room's own services.

What the examiners would have heard is given as findings, so that no sound is needed.
"""

import struct
from datetime import timedelta
from typing import Any

from consent import ceremony, examination, recordings, services
from consent.acts import Act
from consent.models import Challenge, Examination, Recording
from foundation.clock import move_forward
from foundation.identity.actors import Actor
from foundation.identity.models import Person

SECOND = bytes(ceremony.BYTES_A_SECOND)
TEMPLATE = struct.pack("<256f", 1.0, *[0.0] * 255)
ACT = Act("session", "a session of the test")
EVIDENCE = [
    {"kind": "quality", "value": 9.0, "threshold": 3.0, "verdict": "pass", "reason": "ok", "advice": {}, "model": "q-1",
     "details": {"net_seconds": 9.0}},
]  # fmt: skip


def answered(person: Person, seconds: int = 2) -> tuple[Challenge, Examination]:
    """A challenge answered live: the rehearsal clock moves with the sound."""
    actor = Actor.of(person)
    challenge = ceremony.open_challenge(actor=actor)
    for index in range(seconds):
        move_forward(timedelta(seconds=1))
        ceremony.add_chunk(actor=actor, challenge_id=challenge.id, index=index, data=SECOND)
    found = ceremony.answer_challenge(actor=actor, challenge_id=challenge.id)
    challenge.refresh_from_db()
    return challenge, found


def decide(found: Examination, verdict: str = "pass", **more: Any) -> None:
    assert examination.begin(found.id) is not None
    template = TEMPLATE if found.challenge_id and verdict == "pass" else None
    examination.decide(
        found.id,
        **{"evidence": EVIDENCE, "verdict": verdict, "reason": "ok", "advice": {}, "template": template, **more},
    )


def passed_challenge(person: Person) -> Challenge:
    challenge, found = answered(person)
    decide(found)
    challenge.refresh_from_db()
    return challenge


def passed_recording(challenge: Challenge, content: bytes = b"sound") -> Recording:
    actor = Actor.of(challenge.person)
    made = recordings.create_recording(
        actor=actor, challenge_id=challenge.id, language="en", transcript="What is said here."
    )
    decide(recordings.receive_content(actor=actor, recording_id=made.id, stream=[content]), seconds=60.0)
    made.refresh_from_db()
    return made


def terms(challenge: Challenge, *given: Recording, **more: Any) -> dict[str, Any]:
    return {
        "actor": Actor.of(challenge.person),
        "act": ACT,
        "challenge_id": challenge.id,
        "recording_ids": [one.id for one in given],
        "uses": {"own_use": True, "licence_to_others": True},
        "languages": ["en"],
        "term_days": 30,
        "territory": "worldwide",
        "text_version": "en-1",
        "biometric_release": True,
        **more,
    }


def consent(person: Person, **more: Any) -> Any:
    """A Consent; not typed as one, for one given this way surely has its challenge and template."""
    challenge = passed_challenge(person)
    return services.give_consent(**terms(challenge, passed_recording(challenge), **more))
