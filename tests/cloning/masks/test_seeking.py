"""A mask that is sought with the real engine, on the shipped base. Half a minute of work: not in the quick suite."""

import numpy as np
import pytest

from cloning import services, tasks
from cloning.engine import voicefile
from cloning.engine.training.zero_shot import instant_voice
from cloning.masks import services as masks
from cloning.models import Job, Output
from demo.flite.speaker import speak as flite
from foundation.identity.actors import Actor
from tests.cloning import factories as make
from tests.cloning.test_main_job import LINES, _is_traced

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.mark.parametrize("speaker", ["slt", "rms", "awb"])
def test_a_voice_gets_a_mask_that_the_verifier_takes_for_somebody_else(person, speaker) -> None:
    wave, rate = flite(" ".join(LINES), voice=speaker)
    weights = voicefile.pack(instant_voice(None, np.asarray(wave, np.float32), rate, None, "en"))
    owner = person()
    voice = make.voice(owner, make.consent(owner, uses={**make.USES, "voice_mask": True}), weights=weights)
    mask = masks.request_mask(actor=Actor.of(owner), voice_id=voice.id, name="Stage", seed=1)
    tasks.mask.run(str(mask.job_id))
    mask.refresh_from_db()
    job = Job.objects.get(id=mask.job_id)
    assert (job.state, mask.state) == ("succeeded", "ready"), (job.error_code, job.error_detail)
    assert mask.likeness < mask.limit
    request = services.request_speech(
        actor=Actor.of(owner), voice_id=voice.id, text=make.TEXT, language="en", mask=mask.id
    )
    tasks.speak.run(str(request.job_id))
    job = Job.objects.get(id=request.job_id)
    assert job.state == "succeeded", (job.error_code, job.error_detail)
    _is_traced(Output.objects.get(request=request))
