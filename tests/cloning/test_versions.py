"""A voice of another version than the starter: offered where it is mounted, trained and spoken through gate, vault and
mark like any other, and refused by name where a file is missing."""

import io
import shutil
import subprocess
import sys

import pytest
import soundfile
from django.db import IntegrityError

from cloning import bases, errors, mounted, services, tasks, training
from cloning.engine.costs import COSTS
from cloning.engine.versions import VERSIONS
from cloning.models import Job, Output, Voice
from demo.flite.speaker import speak as flite
from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.errors import ClearanceNeeded
from tests.cloning import factories as make
from tests.cloning.engine.training.mounted import write_bases
from tests.cloning.test_main_job import LINES, _is_traced

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A reduced v4 base with random weights."""
    return write_bases(tmp_path_factory.mktemp("bases"), "v4")


@pytest.fixture
def offered(folder, settings):
    settings.VOUCH_BASES, settings.VOUCH_FLOW_STEPS = folder, 1
    yield folder
    mounted._deployed.cache_clear()


@pytest.fixture(scope="module")
def speech() -> list[tuple[bytes, str]]:
    made = []
    for line in LINES:
        out = io.BytesIO()
        soundfile.write(out, *flite(line, voice="slt"), format="WAV", subtype="PCM_16")
        made.append((out.getvalue(), line))
    return made


def test_a_v4_voice_is_trained_speaks_without_its_recordings_and_is_traced(person, speech, offered, settings) -> None:
    settings.VOUCH_PURGE_AFTER_TRAINING = True
    owner = person()
    made = services.request_voice(
        actor=Actor.of(owner),
        consent_id=make.consent(owner, speech=speech).id,
        name="Mine",
        language="en",
        version="v4",
    )
    tasks.train.run(str(made.jobs.get().id))
    made.refresh_from_db()
    job = made.jobs.get()
    assert (made.state, job.state) == ("ready", "succeeded"), (job.error_code, job.error_detail)
    assert {r.custody.state for r in made.consent.recordings.select_related("custody")} == {"destroyed"}
    with pytest.raises(ClearanceNeeded):
        vault.read(sealed_object=made.weights, actor=make.SYSTEM)

    request = services.request_speech(
        actor=Actor.of(owner), voice_id=made.id, text=make.TEXT, language="en", seed=5, container="flac"
    )
    tasks.speak.run(str(request.job_id))
    done = Job.objects.get(id=request.job_id)
    assert done.state == "succeeded", (done.error_code, done.error_detail)
    spoken = Output.objects.get(request=request)
    # Of the voice in the clear nothing stays in the worker, only its base.
    (kept,) = mounted.deployed("v4").engine.report().own_bytes
    assert str(kept).startswith("mounted v4")
    _is_traced(spoken)
    _gone(owner, made, offered)


def _gone(owner, voice: Voice, folder) -> None:
    """The base's folder loses a file: the job says which, and nothing is said."""
    (folder / "v4" / "s2Gv4.pth").rename(folder / "s2Gv4.pth")
    try:
        request = services.request_speech(actor=Actor.of(owner), voice_id=voice.id, text=make.TEXT, language="en")
        tasks.speak.run(str(request.job_id))
    finally:
        (folder / "s2Gv4.pth").rename(folder / "v4" / "s2Gv4.pth")
    job = Job.objects.get(id=request.job_id)
    assert (job.state, job.error_code) == ("failed", "base_incomplete")
    assert "v4/*.pth" in job.error_detail
    assert not Output.objects.filter(request=request).exists()


@pytest.mark.parametrize(
    ("version", "refusal"),
    [("v9", errors.VersionUnknown), ("v3", errors.VersionNotOffered), ("v4", errors.BaseIncomplete)],
)
def test_what_is_not_mounted_whole_is_refused_and_nothing_happens(person, settings, folder, tmp_path, version, refusal):
    shutil.copytree(folder / "v4", tmp_path / "v4")
    settings.VOUCH_BASES = tmp_path
    owner = person()
    under = make.consent(owner)
    before = Leaf.objects.count()
    with pytest.raises(refusal) as refused:
        services.request_voice(actor=Actor.of(owner), consent_id=under.id, name="Mine", language="en", version=version)
    if version == "v4":
        assert "models/gsv-v4-pretrained/vocoder.pth" in refused.value.detail
    assert (Voice.objects.count(), Job.objects.count(), Leaf.objects.count()) == (0, 0, before)
    with pytest.raises(refusal):
        training._trainer(version)


def test_a_voice_cannot_be_of_a_version_that_does_not_exist(person) -> None:
    owner = person()
    voice = make.voice(owner, make.consent(owner))
    assert voice.version == "starter"
    with pytest.raises(IntegrityError, match="voice_version_known"):
        Voice.objects.filter(id=voice.id).update(version="v9")


def test_every_version_has_a_measured_cost_and_more_steps_cost_more(settings) -> None:
    assert list(COSTS) == list(VERSIONS)
    for version in VERSIONS:
        cost = bases.cost_of(version)
        assert min(cost.voice_megabytes, cost.memory_megabytes, cost.training_seconds, cost.real_time_factor) > 0
    settings.VOUCH_FLOW_STEPS = 64
    more = {version: bases.cost_of(version).real_time_factor for version in VERSIONS}
    settings.VOUCH_FLOW_STEPS = 32
    less = {version: bases.cost_of(version).real_time_factor for version in VERSIONS}
    assert [version for version in VERSIONS if more[version] > less[version]] == ["v3", "v4"]


def test_offers_and_costs_need_no_torch() -> None:
    code = "import cloning.engine.costs, cloning.engine.versions, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
