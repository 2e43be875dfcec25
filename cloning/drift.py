"""Does an output sound like somebody else? Asked after synthesis, before anybody hears it. Runs in a worker only.

The same encoder and thresholds as at consent time: an output that is nearer to a protected or enrolled person than the
policy allows is held back, and a moderator looks. It is made and logged all the same, or nobody could look at it.
"""

from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloning import policy_facts
from cloning.errors import MaskSlipped
from cloning.models import Output, SpeechRequest
from foundation.identity.actors import Actor
from safety import protected, restrictions
from safety.policy import PolicyVerdict, decisions
from safety.policy.facts import Value
from safety.policy.models import Stage
from safety.services import open_case
from safety.states import CaseKind, Effect, SubjectKind

if TYPE_CHECKING:
    import numpy as np

ACTOR: Final = Actor.system("cloning.drift")
HOLDING: Final = ("hold", "refuse")
"""Outcomes that keep an output back."""
UNHEARD: Final[dict[str, Value]] = {"output.spoken": True, "output.compared": False}


def listen(pcm: "np.ndarray", rate: int, *, owner_id: UUID, behind: UUID | None = None) -> dict[str, Value]:
    """Facts of an output's voice. What is too short or too quiet to be compared says so; a registry that cannot be
    compared raises (BadEmbedding, Gone), and the job fails: an output nobody compared is not known to be harmless.

    ``behind``: of a masked output the consent of the person behind the mask; MaskSlipped when it sounds like them after
    all.
    """
    from consent.biometrics import speaker
    from consent.biometrics.audio import AudioError

    try:
        embedding = speaker.embed(pcm, rate)
    except AudioError:
        return dict(UNHEARD)
    plain = [float(number) for number in embedding]
    if behind is not None:
        own = protected.likeness(embedding=plain, consent_ref=str(behind))
        if own is not None and own >= protected.SAME_VOICE:
            raise MaskSlipped
    near = protected.nearest(embedding=plain, besides=owner_id)
    return {
        "output.spoken": True,
        "output.compared": True,
        "output.similarity_to_others": round(near.enrolled, 4),
        "output.similarity_to_protected": round(near.protected, 4),
    }


def listen_to(pcm: "np.ndarray", rate: int, request: SpeechRequest) -> dict[str, Value]:
    """`listen` to what was made of a request."""
    voice = request.voice
    behind = voice.consent_id if request.mask_id is not None else None
    return listen(pcm, rate, owner_id=voice.owner_id, behind=behind)


def judge(*, output: Output, request: SpeechRequest, text: str, heard: dict[str, Value] | None) -> bool:
    """Asks the policy about an output, in the transaction that makes it true. Whether it is held back.

    ``heard``: of `listen`; None for an output nobody compared. A held output is quarantined and has a case; a
    moderator's dismissal lifts it.
    """
    verdict = _verdict(request, heard)
    decisions.record(
        verdict=verdict,
        stage=Stage.OUTPUT,
        requester_id=request.requester_id,
        voice_ref=str(request.voice_id),
        text="",
        text_digest=request.text_digest,
        language=request.language,
        actor=ACTOR,
    )
    if verdict.outcome not in HOLDING:
        return False
    case = open_case(
        actor=ACTOR,
        kind=CaseKind.DRIFT,
        severity=verdict.severity,
        subject_kind=SubjectKind.OUTPUT,
        subject_ref=str(output.id),
        rule=verdict.rule,
        clause=verdict.clause,
        voice_ref=str(request.voice_id),
        requester_id=request.requester_id,
        text=text,
    )
    restrictions.create(
        actor=ACTOR,
        subject_kind=SubjectKind.OUTPUT,
        subject_ref=str(output.id),
        effect=Effect.QUARANTINE,
        reason="The output sounds like somebody other than the voice's owner.",
        clause=verdict.clause,
        case=case,
    )
    return True


def would_hold(request: SpeechRequest, heard: dict[str, Value]) -> bool:
    """Would an output that sounds like this be held back? For a stream, of which something has been heard already."""
    return _verdict(request, heard).outcome in HOLDING


def _verdict(request: SpeechRequest, heard: dict[str, Value] | None) -> PolicyVerdict:
    known = policy_facts.known(voice=request.voice, licence=request.licence, requester_id=request.requester_id)
    return decisions.judge("", language=request.language, known={**known, **(heard or UNHEARD)})
