"""The ceremony in a real browser whose microphone hears a voice, with the verdicts of the real examiners.

Chromium's fake audio device plays a file. The words are shown only once the microphone is open, so the file is written
then, and the voice enters the room (a noise floor that was there all along). Nothing of the page is replaced.
"""

import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from consent import examination, tasks
from consent.models import Challenge, Consent, Examination, Recording
from consent.prompts import sentences
from demo.flite.speaker import RATE, speak
from safety.models import Case, ProtectedVoice
from tests.consent.factories import TEMPLATE
from tests.consent.readers import MISREAD
from tests.consent.test_held import SEARCH, like
from tests.safety import desk
from tests.vouch.web.test_browser import accessible, answer_challenge, until

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
VOICE = "slt"
DEVICE_RATE = 48_000
TRIES = 4
"""An honest reader is understood nearly always the first time, and within three; a busy machine starts late."""
A_READING = 3
"""Sentences: about nine seconds, and a reading may last fourteen."""
ROOM = """
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (asked) => {
    const context = new AudioContext();
    const room = context.createMediaStreamDestination();
    const hiss = context.createBuffer(1, 120 * context.sampleRate, context.sampleRate);
    hiss.getChannelData(0).forEach((_, i, all) => (all[i] = 0.003 * (Math.random() - 0.5)));
    const source = new AudioBufferSourceNode(context, { buffer: hiss });
    source.connect(room);
    source.start();
    await context.resume();
    globalThis.enter = async () => context.createMediaStreamSource(await open(asked)).connect(room);
    return room.stream;
  };
"""


@pytest.fixture(scope="module")
def voice_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("microphone") / "voice.wav"


@pytest.fixture(scope="module")
def hum(voice_file: Path) -> str:
    """What the fake microphone plays, once each time it is opened."""
    return f"{voice_file}%noloop"


class Speaker:
    """A person at the microphone."""

    def __init__(self, page: Any, file: Path) -> None:
        self.page, self.file = page, file
        self.sounds: dict[str, np.ndarray] = {}

    def sound(self, text: str) -> np.ndarray:
        """What saying it sounds like, at the device's rate, float32 in [-0.5, 0.5]."""
        if text not in self.sounds:
            sound, _ = speak(text, voice=VOICE)
            self.sounds[text] = soxr.resample(0.5 * sound / np.abs(sound).max(), RATE, DEVICE_RATE)
        return self.sounds[text]

    def say(self, text: str) -> float:
        """Begins to say it; returns the seconds it takes."""
        sound = self.sound(text)
        with wave.open(str(self.file), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(DEVICE_RATE)
            out.writeframes((sound * 32767).astype("<i2").tobytes())
        self.page.evaluate("enter()")
        return len(sound) / DEVICE_RATE

    def answer(self) -> Examination:
        """Reads the words on the page and has the answer examined."""
        self.page.locator("#words").wait_for()
        words = self.page.locator("#words").inner_text().split(" · ")
        assert Challenge.objects.get(state="open").words == words
        time.sleep(self.say(", ".join(words)) + 0.5)
        self.page.keyboard.press("Enter")  # the words have the focus
        found = until(lambda: Examination.objects.filter(challenge__words=words).first())
        tasks.examine_challenge(str(found.id))
        found.refresh_from_db()
        return found

    def pass_challenge(self) -> Examination:
        self.page.get_by_role("button", name="show the words").click()
        for _ in range(TRIES):
            found = self.answer()
            if found.reason not in MISREAD | {"late_start"}:
                return found
            self.page.get_by_role("button", name="Try again with new words").click()
        raise AssertionError(f"{found.reason}: {found.evidence}")

    def read(self, lines: tuple[str, ...]) -> Recording:
        """One reading: the sentences as the page shows them, then sent and examined."""
        for line in lines:
            self.sound(line)  # made ahead: a reading lasts fourteen seconds, however busy the machine is
        self.page.get_by_role("button", name="Start reading").click()
        finish = self.page.get_by_role("button", name="Finish this reading")
        finish.wait_for()
        for number, line in enumerate(lines):
            if number:
                self.page.keyboard.press("ArrowRight")
            assert self.page.locator("#sentence").inner_text() == line
            time.sleep(self.say(line) + 0.2)
        finish.click()
        self.page.get_by_role("button", name="Send this reading").click()
        recording = until(lambda: Recording.objects.filter(state="received").first())
        assert recording.transcript == " ".join(lines)
        tasks.examine_recording(str(recording.examination.id))
        recording.refresh_from_db()
        return recording


@pytest.fixture
def speaker(page: Any, voice_file: Path) -> Speaker:
    page.add_init_script(ROOM)
    speak("Good morning.", voice=VOICE)  # the synthesiser's first word takes seconds
    return Speaker(page, voice_file)


def test_a_voice_at_the_microphone_passes_the_challenge(page: Any, sign_in: Any, person: Any, speaker: Speaker) -> None:
    sign_in(person()).goto("/consent")
    found = speaker.pass_challenge()
    assert found.verdict == "pass", found.evidence
    page.get_by_role("button", name="Go on to the reading").wait_for()
    assert page.locator("#challenge-verdict").inner_text() == "Passed"
    assert page.locator("#challenge-evidence tbody tr").count() == len(found.evidence)
    timing = next(one for one in found.evidence if one["kind"] == "liveness")["details"]
    assert 0.0 < timing["started_after"] < 10.0


def test_a_challenge_that_waits_for_a_moderator_survives_closing_the_page(
    page: Any, sign_in: Any, person: Any, speaker: Speaker
) -> None:
    sign_in(person()).goto("/consent")
    found = answer_challenge(page, seconds=1).examination
    assert examination.begin(found.id) is not None
    examination.hold(found.id, evidence=[SEARCH], found_like=[like()], template=TEMPLATE)
    page.get_by_text("Waiting for a moderator").wait_for()
    assert "come back later" in page.locator("#challenge-advice").inner_text()
    page.goto("/consent")
    page.get_by_role("button", name="Look again").wait_for()
    desk.decide(person("moderator"), Case.objects.get(), "allow")
    assert examination.settle_held() == 1
    page.get_by_role("button", name="Look again").click()
    page.get_by_role("button", name="Go on to the reading").click()
    page.get_by_role("button", name="Start reading").wait_for()


@pytest.mark.slow
def test_from_the_first_word_to_the_consent(page: Any, sign_in: Any, person: Any, speaker: Speaker) -> None:
    sign_in(person()).goto("/consent")
    assert speaker.pass_challenge().verdict == "pass"
    page.get_by_role("button", name="Go on to the reading").click()
    script = sentences("en")
    for at in range(0, 12, A_READING):
        recording = speaker.read(script[at : at + A_READING])
        assert recording.state == "passed", recording.examination.evidence
        page.get_by_text(f"{at // A_READING + 1} reading").wait_for()
    page.get_by_role("button", name="Go on to the consent").click()
    page.get_by_label("I have read this and I consent.").check()
    page.get_by_label("Separately").check()
    page.get_by_role("button", name="Give consent").click()
    page.get_by_text("It is written into the log.").wait_for()
    assert Consent.objects.get().recordings.count() == 4


def test_a_person_forbids_the_cloning_of_their_voice_and_lifts_it_again(
    page: Any, sign_in: Any, person: Any, speaker: Speaker
) -> None:
    owner = person()
    sign_in(owner).goto("/me")
    page.get_by_role("link", name="Forbid the cloning of my voice").click()
    accessible(page, "protect")
    found = speaker.pass_challenge()
    assert found.verdict == "pass", found.evidence
    page.get_by_role("button", name="Forbid the cloning of my voice").click()
    page.get_by_text("Your voice is protected since").wait_for()
    accessible(page, "protected")
    protection = ProtectedVoice.objects.get()
    assert (protection.person, protection.state, protection.source) == (owner, "active", "own")
    assert protection.basis_ref == f"challenge:{found.challenge_id}"
    page.get_by_role("button", name="Lift the protection").click()
    page.get_by_role("button", name="show the words").wait_for()
    protection.refresh_from_db()
    assert protection.state == "removed"
