"""An output that sounds like somebody else is held back before anybody hears it, and a moderator decides."""

import uuid

import numpy as np
import pytest

from cloning import drift, errors, selectors, services
from cloning.models import Output
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from safety import protected
from safety.models import Case, PolicyDecision, Restriction
from safety.states import ProtectionSource
from tests.cloning import factories as make
from tests.safety import desk

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
RATE = 16_000


def made(request):
    output_id = uuid.uuid4()
    key = vault.create_key(kind="output", owner_ref=str(output_id), actor=SYSTEM)
    sealed = vault.store(key=key, kind="output", owner_ref=str(output_id), data=b"s", not_after=None, actor=SYSTEM)
    return Output.objects.create(
        id=output_id, request=request, voice=request.voice, requester=request.requester, sealed=sealed,
        media_type="audio/wav", sha256="0" * 64, seconds=1.0, label_seconds=0.5, mark_payload=output_id.int % 10**9 + 1,
        provenance={}, leaf_index=0, rehearsal=True,
    )  # fmt: skip


@pytest.fixture
def spoken(person):
    """An output of an owner's own request, and the request."""
    owner = person()
    voice = make.voice(owner, make.consent(owner))
    request = services.request_speech(actor=Actor.of(owner), voice_id=voice.id, text=make.TEXT, language="en")
    return made(request), request


def judge(spoken, **heard):
    output, request = spoken
    facts = {
        "output.spoken": True,
        "output.compared": True,
        **{f"output.{name}": value for name, value in heard.items()},
    }
    return drift.judge(output=output, request=request, text=make.TEXT, heard=facts)


@pytest.mark.parametrize(
    ("others", "protected_", "held"), [(0.5, 0.5, False), (0.87, 0.1, True), (0.85, 0.79, False), (0.2, 0.81, True)]
)
def test_the_thresholds_are_those_of_consent_time(spoken, others, protected_, held):
    assert judge(spoken, similarity_to_others=others, similarity_to_protected=protected_) is held
    made = PolicyDecision.objects.get(stage="output")
    assert made.outcome == ("hold" if held else "allow")
    assert made.facts["output.similarity_to_others"] == others
    assert made.text is None
    assert Case.objects.filter(kind="output_drift").exists() is held


def test_a_held_output_is_handed_to_nobody_and_its_text_is_not_spoken_again(spoken):
    output, request = spoken
    judge(spoken, similarity_to_protected=0.9)
    with pytest.raises(errors.OutputRevoked):
        selectors.playable_output(actor=Actor.of(request.requester), output_id=output.id)
    with pytest.raises(errors.Restricted):
        services.request_speech(
            actor=Actor.of(request.requester), voice_id=request.voice_id, text=make.TEXT, language="en"
        )
    with pytest.raises(errors.Restricted):  # nor with a word more
        services.request_speech(
            actor=Actor.of(request.requester), voice_id=request.voice_id, text=make.TEXT + " Again.", language="en"
        )
    other = services.request_speech(
        actor=Actor.of(request.requester), voice_id=request.voice_id, text="The ferry leaves at noon.", language="en"
    )
    assert other.job.state == "queued"


def test_a_moderator_who_dismisses_it_lets_it_go_and_one_who_restricts_keeps_it(spoken, person):
    output, request = spoken
    judge(spoken, similarity_to_protected=0.9)
    desk.settled(person(role="moderator"), Case.objects.get(kind="output_drift"), "dismiss")
    assert Restriction.objects.get().state == "lifted"
    assert selectors.playable_output(actor=Actor.of(request.requester), output_id=output.id).id == output.id
    judge(spoken, similarity_to_protected=0.9)
    case = Case.objects.exclude(state="decided").get(kind="output_drift")
    desk.settled(person(role="moderator"), case, "restrict", about=request.requester_id)
    with pytest.raises(errors.OutputRevoked):
        selectors.playable_output(actor=Actor.of(request.requester), output_id=output.id)


def test_an_output_nobody_compared_is_recorded_as_that(spoken):
    output, request = spoken
    assert drift.judge(output=output, request=request, text=make.TEXT, heard=None) is False
    assert PolicyDecision.objects.get(stage="output").facts["output.compared"] is False


def test_silence_is_not_compared(spoken):
    heard = drift.listen(np.zeros(RATE, np.float32), RATE, owner_id=uuid.uuid4())
    assert heard == {"output.spoken": True, "output.compared": False}


def test_a_voice_of_flesh_is_compared_with_everybody_but_its_owner(person):
    from consent.biometrics import speaker
    from tests.consent.readers import script

    owner, other = person(), person()
    wave = script()[: 8 * RATE]
    embedding = [float(number) for number in speaker.embed(wave, RATE)]
    protected.add(
        embedding=embedding, source=ProtectionSource.OWN, label="own", person_id=owner.id, basis_ref="challenge:x",
        actor=SYSTEM,
    )  # fmt: skip
    mine = drift.listen(wave, RATE, owner_id=owner.id)
    theirs = drift.listen(wave, RATE, owner_id=other.id)
    assert mine["output.similarity_to_protected"] == -1.0
    assert theirs["output.similarity_to_protected"] > 0.99
