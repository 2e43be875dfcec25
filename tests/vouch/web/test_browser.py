"""The console in a real browser: what only JavaScript can show."""

import io
import json
import time
import uuid
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import soundfile

from cloning import gate, speaking, training
from cloning.models import Job, Output, SpeechRequest, Voice
from cloning.worker import claim
from consent import receipts
from consent.models import Challenge, Consent, Examination, Recording
from foundation import clock, keys
from foundation.identity.actors import Actor
from foundation.identity.models import Person
from retention import custody
from safety.models import Case
from tests.cloning import factories as make
from tests.consent.factories import decide
from tests.vouch.web.conftest import HUM_HZ
from vouch.desk import effects
from watermark.services import issue_mark

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
SYSTEM = Actor.system("test")
QUALITY = {
    "kind": "quality",
    "value": 21.5,
    "threshold": 15.0,
    "verdict": "pass",
    "reason": "ok",
    "advice": {},
    "model": "q-1",
    "details": {},
}
WRONG_WORDS = {
    **QUALITY,
    "kind": "liveness",
    "value": 0.25,
    "threshold": 0.8,
    "verdict": "refuse",
    "reason": "wrong_words",
    "advice": {"en": "Other words were heard than the ones shown.", "zh": "听到的内容与显示的词语不符。"},
}


def until(look: Any, seconds: float = 30.0) -> Any:
    """What ``look`` returns, once it returns something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("nothing came")


def pitch(pcm: np.ndarray, rate: int) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.argmax(spectrum) * rate / len(pcm))


def answer_challenge(page: Any, seconds: float = 3.0) -> Challenge:
    """Opens a challenge and hums through it."""
    page.get_by_role("button", name="show the words").click()
    page.locator("#words").wait_for()
    challenge = Challenge.objects.get(state="open")
    assert page.locator("#words").inner_text().split(" · ") == challenge.words
    assert "left" in page.locator("#challenge-time").inner_text()

    def heard() -> bool:
        challenge.refresh_from_db()
        return challenge.custody is not None and challenge.custody.parts.count() >= seconds

    until(heard)  # while the person still speaks: the answer is sent live, not afterwards
    assert challenge.state == "open"
    page.get_by_role("button", name="I have read all six").click()
    until(lambda: Examination.objects.filter(challenge=challenge).exists())
    challenge.refresh_from_db()
    return challenge


def finished(request: SpeechRequest) -> Output:
    """What a worker does after synthesis, for real: mark, label, sign, store."""
    from cloning.engine.synthesis import Speech

    run = claim(request.job_id)
    assert run is not None
    pcm = (0.1 * np.random.default_rng(2).standard_normal(16_000 * 4)).astype(np.float32)
    output_id = uuid.uuid4()
    mark = issue_mark(output_ref=str(output_id), rehearsal=True)
    sealed = speaking._seal(Speech(pcm=pcm, rate=16_000, seconds=4.0, doubtful=0), request, mark, output_id)
    speaking.publish(run, request.id, output_id, mark, sealed, 4.0)
    return Output.objects.get(id=output_id)


def own_voice(owner: Person) -> Voice:
    return make.voice(owner, make.consent(owner), name="Reading voice")


def test_from_signing_up_to_a_voice(page, tmp_path):
    page.goto("/sign-up?next=/consent")
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("E-mail address").fill("ada@example.org")
    page.get_by_label("Password").fill("correct horse 42")
    page.get_by_role("button", name="Create an account").click()
    page.wait_for_url("**/consent")
    assert page.locator("#words").inner_text() == ""

    challenge = answer_challenge(page)
    pcm = np.frombuffer(custody.read(item=challenge.custody, actor=SYSTEM), "<i2").astype(float)
    assert len(pcm) / 16_000 >= 3.0
    assert pitch(pcm, 16_000) == pytest.approx(HUM_HZ, abs=1.5)
    assert np.abs(pcm[4_000:]).max() / 32768 == pytest.approx(0.3, rel=0.1)
    decide(Examination.objects.get(challenge=challenge), evidence=[QUALITY])
    page.get_by_text("Sound quality").wait_for()
    assert page.locator("#challenge-evidence tbody td").first.inner_text() == "21.5"
    page.get_by_role("button", name="Go on to the reading").click()

    page.get_by_role("button", name="Start reading").click()
    page.get_by_role("button", name="Next sentence").wait_for()
    first = page.locator("#sentence").inner_text()
    page.wait_for_timeout(1200)
    page.keyboard.press("ArrowRight")
    second = page.locator("#sentence").inner_text()
    assert first != second
    page.wait_for_timeout(1200)
    page.get_by_role("button", name="Finish this reading").click()
    page.get_by_role("button", name="Send this reading").click()
    recording = until(lambda: Recording.objects.filter(state="received").first())
    assert recording.transcript == f"{first} {second}"
    wave, rate = soundfile.read(io.BytesIO(custody.read(item=recording.custody, actor=SYSTEM)))
    assert rate >= 44_100
    assert len(wave) / rate > 2.0
    assert pitch(wave, rate) == pytest.approx(HUM_HZ, abs=1.5)
    decide(Examination.objects.get(recording=recording), seconds=60.0)
    page.get_by_text("1 reading passed").wait_for()
    page.get_by_role("button", name="Go on to the consent").click()

    page.get_by_text("I am the person whose voice was recorded").wait_for()
    page.get_by_label("Licence to others").check()
    page.get_by_label("I have read this and I consent.").check()
    page.get_by_label("Separately").check()
    page.get_by_role("button", name="Give consent").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the receipt").click()
    download.value.save_as(tmp_path / "receipt.json")
    consent = Consent.objects.get()
    assert consent.uses["licence_to_others"] is True
    assert consent.uses["political"] is False
    assert consent.languages == ["en"]
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert receipts.verify(receipt, keys.public_key("log"))["id"] == str(consent.id)

    page.get_by_label("Name of the voice").fill("Ada’s voice")
    page.get_by_role("button", name="Train my voice").click()
    voice = until(lambda: Voice.objects.first())
    run = claim(voice.jobs.get().id)
    run.write(stage="acoustic", progress=0.5, seconds_left=80.0)
    page.get_by_text("Learning how you sound, about 1 min 20 s left").wait_for()
    token = gate.clear_training(actor=SYSTEM, voice=voice, digest=voice.training_digest)
    training._publish(run, voice, token, voice.training_digest, b"weights")
    page.get_by_role("link", name="Speak in this voice").click()
    page.wait_for_url(f"**/voices/{voice.id}")
    assert page.locator("h1").inner_text() == "Ada’s voice"


def test_a_refused_challenge_shows_what_was_measured_and_what_to_do(page, sign_in, person):
    sign_in(person()).goto("/consent")
    challenge = answer_challenge(page, seconds=1)
    found = Examination.objects.get(challenge=challenge)
    evidence = [QUALITY, WRONG_WORDS]
    decide(found, "refuse", evidence=evidence, reason="wrong_words", advice=WRONG_WORDS["advice"])
    again = page.get_by_role("button", name="Try again with new words")
    again.wait_for()
    rows = page.locator("#challenge-evidence tbody tr")
    assert rows.count() == 2
    assert rows.nth(1).locator("td").all_inner_texts() == ["0.250", "0.800", "Refused", WRONG_WORDS["advice"]["en"]]
    assert page.locator("#words").text_content() == ""
    assert not page.get_by_role("button", name="Go on to the reading").is_visible()
    again.click()
    page.locator("#words").wait_for()
    assert page.locator("#words").inner_text().split(" · ") == Challenge.objects.get(state="open").words


def test_a_held_text_says_that_a_moderator_decides(page, sign_in, person):
    owner = person()
    sign_in(owner).goto(f"/voices/{own_voice(owner).id}")
    page.get_by_label("What shall it say?").fill(make.HELD_TEXT)
    page.get_by_role("button", name="Speak").click()
    page.get_by_text("A moderator decides").wait_for()
    assert page.locator("audio").count() == 0
    assert Case.objects.get().text == make.HELD_TEXT


def test_a_refusal_shows_its_code_and_advice(page, sign_in, person):
    owner = person()
    voice = own_voice(owner)
    sign_in(owner).goto(f"/voices/{voice.id}")
    page.get_by_label("What shall it say?").fill("... --- ...")
    page.get_by_role("button", name="Speak").click()
    problem = page.get_by_role("alert").filter(has_text="text_invalid")
    problem.wait_for()
    assert "Send the words to be spoken." in problem.inner_text()
    assert not SpeechRequest.objects.exists()


def test_withdrawing_shows_what_will_end_and_then_what_did(page, sign_in, person):
    owner = person()
    voice = own_voice(owner)
    sign_in(owner).goto("/me")
    page.get_by_role("button", name="Withdraw", exact=True).click()
    dialog = page.get_by_role("dialog")
    assert "the voice “Reading voice” is destroyed" in dialog.inner_text()
    dialog.get_by_role("button", name="Keep it").click()
    assert Consent.objects.get().state == "active"
    page.get_by_role("button", name="Withdraw", exact=True).click()
    dialog.get_by_role("button", name="Withdraw for good").click()
    dialog.get_by_text("Voice destroyed").wait_for()
    voice.refresh_from_db()
    assert (Consent.objects.get().state, voice.state) == ("withdrawn", "destroyed")
    with page.expect_navigation():
        dialog.get_by_role("button", name="Close").click()
    page.goto("/")
    page.get_by_text("nobody can make it speak again").wait_for()


def test_a_file_of_ours_is_traced_by_anybody(page, person, tmp_path):
    from cloning import services, tracing
    from cloning.models import TraceJob
    from foundation.vault import services as vault

    owner = person()
    voice = own_voice(owner)
    request = services.request_speech(
        actor=Actor.of(owner), voice_id=voice.id, text=make.TEXT, language="en", seed=1, container="wav"
    )
    output = finished(request)
    path = tmp_path / "found.wav"
    path.write_bytes(vault.read(sealed_object=output.sealed, actor=SYSTEM))
    page.goto("/trace")
    page.get_by_label("Choose an audio file").set_input_files(path)
    tracing.search(until(lambda: TraceJob.objects.first()).id)
    page.get_by_text("Yes: made here by artificial intelligence").wait_for()
    said = page.locator("#hits").inner_text()
    assert "Reading voice" in said
    assert "In force" in said
    assert "Audible label" in said
    assert "at most 1 in" not in said
    assert "a signed report can be had under this number" in said
    assert str(output.id) in said


def test_a_moderator_decides_with_the_keyboard_alone(page, sign_in, person):
    from cloning import services

    owner = person()
    voice = own_voice(owner)
    request = services.request_speech(
        actor=Actor.of(owner), voice_id=voice.id, text=make.HELD_TEXT, language="en", seed=1, container="wav"
    )
    sign_in(person("moderator")).goto("/desk")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/desk/*")
    page.keyboard.press("c")
    page.locator("#release").wait_for()
    page.wait_for_load_state()
    page.keyboard.press("x")
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("A family-emergency fraud. Claim c is typed, not pressed.")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("[data-undo]").wait_for()
    assert Job.objects.get(id=request.job_id).state == "held"
    clock.move_forward(timedelta(seconds=61))
    effects.settle_due()
    assert Case.objects.get().decision == "refuse"
    assert Job.objects.get(id=request.job_id).state == "refused"


@pytest.mark.parametrize(("scheme", "language"), [("light", "en"), ("dark", "zh-hans")])
def test_every_page_fits_a_small_phone_and_reads_in_both_schemes(page, live_server, sign_in, person, scheme, language):
    owner = person()
    voice = own_voice(owner)
    page.emulate_media(color_scheme=scheme)
    page.context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
    page.set_viewport_size({"width": 360, "height": 740})
    for path in ["/trace", "/log", "/sign-up", "/sign-in", "/retention", "/notice", "/nothing-here", "/"]:
        page.goto(path)
        assert page.locator("html").get_attribute("lang") == language
        fits_and_reads(page, path)
        if scheme == "light":
            accessible(page, path)
    sign_in(owner)
    for path in [
        "/",
        "/me",
        "/consent",
        "/consents",
        "/reviews",
        f"/voices/{voice.id}",
        f"/voices/{voice.id}/batch",
        "/recordings",
        "/market",
        "/market/offers",
        "/orders",
        "/earnings",
        "/membership",
        "/protect",
        "/second-factor",
        "/report",
        "/reasons",
        "/log",
    ]:
        page.goto(path)
        fits_and_reads(page, path)
        if scheme == "light":
            accessible(page, path)


AXE_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


def accessible(page: Any, where: str) -> None:
    """No finding of axe-core that is serious or critical, by the rules of WCAG 2.2 A and AA."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options=AXE_RULES).response["violations"]
    bad = [(one["id"], one["nodes"][0]["html"][:120]) for one in found if one["impact"] in ("serious", "critical")]
    assert bad == [], where


CONTRAST = """() => {
  const numbers = (text) => (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const back = numbers(getComputedStyle(one).backgroundColor);
      if (back.length < 4 || back[3] === 1) return back;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const one of document.querySelectorAll("main *, header *, footer *, .rehearsal, .rehearsal *")) {
    const text = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!text || !one.checkVisibility() || one.closest(":disabled")) continue;
    const [a, b] = [light(numbers(getComputedStyle(one).color)), light(behind(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${one.tagName} ${one.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


def fits_and_reads(page: Any, path: str) -> None:
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 360, f"{path} is {width} px wide"
    assert page.evaluate(CONTRAST) == [], path


def test_resampling_keeps_speech_and_keeps_out_what_does_not_fit(page):
    page.goto("/trace")
    levels = page.evaluate(
        """async () => {
          const { Resampler } = await import("/static/web/resample.js");
          const level = (hz, from) => {
            const resampler = new Resampler(from, 16000);
            const out = [];
            const input = Float32Array.from({ length: from }, (_, i) => Math.sin((2 * Math.PI * hz * i) / from));
            for (let at = 0; at < from; at += 128) out.push(...resampler.push(input.subarray(at, at + 128)));
            out.push(...resampler.flush());
            const middle = out.slice(2000, 14000);
            return [out.length, Math.sqrt(middle.reduce((s, v) => s + v * v, 0) / middle.length) * Math.SQRT2];
          };
          const tones = [300, 3000, 6500, 9500, 12000];
          return [48000, 44100].flatMap((from) => tones.map((hz) => [from, hz, ...level(hz, from)]));
        }"""
    )
    for rate, hz, length, level in levels:
        assert abs(length - 16_000) <= 2, (rate, hz, length)
        if hz < 8_000:
            assert level == pytest.approx(1.0, abs=0.01), (rate, hz)
        else:
            assert level < 1e-3, (rate, hz)
