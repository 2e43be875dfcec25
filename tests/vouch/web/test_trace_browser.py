"""A voice message, as a messenger squeezes it, traced on the public page by a real browser; what moderators see."""

import io
import random
import shutil
import subprocess
import uuid
from typing import Any

import numpy as np
import pytest
import soundfile

from cloning import services, speaking, tracing
from cloning.engine.synthesis import Speech
from cloning.models import Output, TraceJob
from cloning.worker import claim
from demo.flite.speaker import speak
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from retention import custody
from retention.models import CustodyItem
from tests.cloning import factories as make
from tests.vouch.web.test_browser import SYSTEM, own_voice, until
from tests.vouch.web.test_upload_browser import cut_after
from watermark.services import issue_mark

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
SPOKEN = "Good morning. The parcel that you asked about is at the station, and the office there closes at six today."


@pytest.fixture
def spoken(person: Any) -> Output:
    """Speech that went the whole way out: marked, labelled, encoded, signed."""
    owner = person()
    request = services.request_speech(
        actor=Actor.of(owner), voice_id=own_voice(owner).id, text=make.TEXT, language="en", seed=1, container="wav"
    )
    run = claim(request.job_id)
    assert run is not None
    pcm, rate = speak(SPOKEN, voice="awb")
    output_id = uuid.uuid4()
    mark = issue_mark(output_ref=str(output_id), rehearsal=True)
    speech = Speech(pcm=np.asarray(pcm, np.float32), rate=rate, seconds=len(pcm) / rate, doubtful=0)
    speaking.publish(run, request.id, output_id, mark, speaking._seal(speech, request, mark, output_id), speech.seconds)
    return Output.objects.get(id=output_id)


def squeezed(output: Output, seconds: float) -> bytes:
    """``seconds`` of the speech behind the label, through the ffmpeg program at Opus 24 kbit/s."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("there is no ffmpeg on PATH")
    wave, rate = soundfile.read(io.BytesIO(vault.read(sealed_object=output.sealed, actor=SYSTEM)))
    start = int((output.label_seconds + 0.5) * rate)
    cut = io.BytesIO()
    soundfile.write(cut, wave[start : start + int(seconds * rate)], rate, format="WAV")
    # The programs speak through pipes: no sound touches the disk.
    squeeze = ["-c:a", "libopus", "-b:a", "24k", "-map_metadata", "-1", "-f", "ogg", "pipe:1"]
    command = [ffmpeg, "-v", "error", "-i", "pipe:0", *squeeze]
    return subprocess.run(command, input=cut.getvalue(), capture_output=True, check=True, timeout=60).stdout


def search() -> None:
    """The worker's part."""
    tracing.search(until(lambda: TraceJob.objects.filter(state="queued").first()).id)


def test_a_voice_message_at_opus_24_is_traced_on_the_page_and_shown_to_a_moderator(page, sign_in, person, spoken):
    message = squeezed(spoken, 5.0)
    assert len(message) < 25_000
    page.goto("/trace")
    page.get_by_label("Choose an audio file").set_input_files(
        {"name": "voice-message.ogg", "mimeType": "audio/ogg", "buffer": message}
    )
    search()
    page.get_by_text("Yes: made here by artificial intelligence").wait_for()
    said = page.locator("#hits").inner_text()
    assert str(spoken.id) in said
    assert "not in this recording any more" in said  # the audible label was cut away
    assert "In force" in said
    assert make.TEXT not in page.content()

    job = TraceJob.objects.get()
    page.goto(f"/desk/traces/{job.id}")
    assert "/sign-in" in page.url  # nobody but moderators
    sign_in(person("moderator")).goto(f"/desk/traces/{job.id}")
    assert spoken.requester.display_name in page.locator("main").inner_text()
    outline, match = (page.locator(f"svg.outline {part}").bounding_box() for part in ("path", "rect"))
    assert outline["width"] > 200
    assert match["width"] > 0.5 * outline["width"]

    services.destroy_voices_for_consent(consent_id=spoken.voice.consent_id, actor=SYSTEM)
    page.goto("/trace")
    page.get_by_label("Choose an audio file").set_input_files(
        {"name": "voice-message.ogg", "mimeType": "audio/ogg", "buffer": message}
    )
    search()
    page.get_by_text("Please do not spread").wait_for()
    assert "Withdrawn from use" in page.locator("#hits").inner_text()
    page.get_by_role("link", name="Everything about this trace").click()
    page.get_by_text("Withdrawn from use").first.wait_for()


def test_what_the_microphone_hears_is_recorded_and_searched(page):
    page.goto("/trace")
    page.get_by_role("button", name="Record what you hear").click()
    page.get_by_role("button", name="Stop and look").wait_for()
    page.wait_for_timeout(2500)
    cut: list[str] = []
    page.route("**/api/v1/trace", lambda route: (cut.append(route.request.headers["idempotency-key"]), route.abort()))
    page.get_by_role("button", name="Stop and look").click()
    page.get_by_text("It goes on by itself as soon as the connection is back.").wait_for()
    page.unroute("**/api/v1/trace")
    page.wait_for_url("**/trace?trace=*")
    page.reload()  # left while it is looked for: the address brings the answer back
    page.get_by_text("Looking for our mark").wait_for()
    search()
    page.get_by_text("No mark of ours").wait_for()
    assert len(set(cut)) == 1, "tried again it is the same trace"
    page.goto("/trace?trace=0e4f3c1a-5d0b-4c39-9d6f-6f2f5a1c7b10")
    page.get_by_role("alert").filter(has_text="not_found").wait_for()
    assert TraceJob.objects.get().facts["seconds"] == pytest.approx(3, abs=1.5)


def test_a_large_file_goes_on_where_its_line_broke(page):
    """What arrives is the file, once; that it is no recording is said afterwards."""
    whole = random.Random(11).randbytes(1_500_000)
    offsets: list[int] = []
    page.goto("/trace")
    page.route("**/trace/uploads/*", cut_after(2, offsets))
    page.get_by_label("Choose an audio file").set_input_files(
        {"name": "found.wav", "mimeType": "audio/wav", "buffer": whole}
    )
    page.get_by_text("It goes on by itself as soon as the connection is back.").wait_for()
    share = page.locator("#work progress").evaluate("one => one.value")
    assert 0 < share < 1
    assert CustodyItem.objects.get(purpose="trace").size == round(share * len(whole))
    page.unroute("**/trace/uploads/*")
    page.get_by_text("Looking for our mark").wait_for()
    assert offsets[:2] == [0, 2**18]
    job = TraceJob.objects.get()
    assert custody.read(item=job.recording, actor=SYSTEM) == whole
    search()
    page.get_by_role("alert").filter(has_text="not_audio").wait_for()
