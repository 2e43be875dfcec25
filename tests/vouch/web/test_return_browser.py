"""The bad days of the ceremony in a real browser: no microphone, one that is unplugged, a hum, a tab that is closed."""

import pytest

from cloning.models import Voice
from cloning.worker import Reporter, claim
from consent.models import Challenge, Consent, Examination, Recording
from tests.consent.factories import decide
from tests.vouch.web.test_browser import QUALITY, accessible, answer_challenge, own_voice, until
from tests.vouch.web.test_studio_browser import DRAWN

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
MICROPHONE = """
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (asked) => {
    const refusal = sessionStorage.getItem("refusal");
    if (refusal) throw new DOMException("no", refusal);
    return (globalThis.microphone = await open(asked));
  };
"""
UNPLUG = """() => microphone.getTracks().forEach((track) => {
  track.stop();
  track.dispatchEvent(new Event("ended"));
})"""


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        ("NotAllowedError", "Allow this page to use the microphone"),
        ("NotFoundError", "Connect a microphone"),
        ("NotReadableError", "Another program uses the microphone"),
    ],
)
def test_without_a_microphone_it_says_what_to_do_and_asks_for_no_words(page, sign_in, person, refusal, advice):
    page.add_init_script(MICROPHONE)
    sign_in(person()).goto("/consent")
    page.evaluate("(name) => sessionStorage.setItem('refusal', name)", refusal)
    page.get_by_role("button", name="show the words").click()
    said = page.get_by_role("alert").filter(has_text="no_microphone")
    said.wait_for()
    assert advice in said.inner_text()
    assert not Challenge.objects.exists()
    assert page.get_by_role("button", name="show the words").is_enabled()


def test_whoever_comes_back_goes_on_where_they_stopped(page, sign_in, person):
    page.add_init_script(MICROPHONE)
    owner = person()
    sign_in(owner).goto("/consent")
    page.get_by_role("button", name="show the words").click()
    page.locator("#words").wait_for()
    advice = page.locator('[data-step="challenge"] [data-level-advice]')
    assert advice.get_attribute("role") == "status"
    advice.filter(has_text="Noisy").wait_for()  # the fake microphone hums without a pause
    page.evaluate(UNPLUG)
    alert = page.get_by_role("alert").filter(has_text="microphone_lost")
    alert.wait_for()
    assert "Plug it in again" in alert.inner_text()
    assert page.locator("#words").text_content() == ""
    Challenge.objects.all().update(state="expired")

    # Closed while the answer is listened to, and again before going on.
    challenge = answer_challenge(page, seconds=1)
    page.get_by_text("Listening to what you said").wait_for()
    page.goto("/log")
    page.goto("/consent")
    page.get_by_text("Listening to what you said").wait_for()
    decide(Examination.objects.get(challenge=challenge), evidence=[QUALITY])
    page.get_by_role("button", name="Go on to the reading").wait_for()
    page.goto("/consent")
    page.get_by_role("button", name="Go on to the reading").click()

    # Unplugged while reading: what was heard is kept. Closed after sending: it is still listed, and counts.
    page.get_by_role("button", name="Start reading").click()
    page.get_by_role("button", name="Next sentence").wait_for()
    page.wait_for_timeout(1_200)
    page.evaluate(UNPLUG)
    page.get_by_role("alert").filter(has_text="microphone_lost").wait_for()
    page.get_by_role("button", name="Send this reading").click()
    page.get_by_text("Listening …").wait_for()
    recording = Recording.objects.get(state="received")
    page.goto("/consent")
    page.get_by_text("You are back where you stopped.").wait_for()
    page.locator("#readings li").wait_for()
    assert page.get_by_role("button", name="Go on to the consent").is_disabled()
    decide(Examination.objects.get(recording=recording), seconds=60.0)
    page.get_by_text("1 reading passed").wait_for()
    read = page.get_by_label("How much is read").evaluate("one => [one.value, one.max]")
    assert 0 < read[0] < read[1] == 60
    page.goto("/consent")
    page.get_by_text("1 reading passed").wait_for()
    accessible(page, "reading")
    page.get_by_role("button", name="Go on to the consent").click()
    page.get_by_label("I have read this and I consent.").check()
    page.get_by_label("Separately").check()
    page.get_by_role("button", name="Give consent").click()
    page.get_by_label("Name of the voice").wait_for()
    page.goto("/consent")
    page.get_by_label("Name of the voice").fill("Mine")
    # Asked for, done, and the answer lost; then the tab is closed: asked again under the same key, it is one voice.
    page.route("**/api/v1/voices", lambda route: (route.fetch(), route.abort()))
    page.get_by_role("button", name="Train my voice").click()
    page.get_by_role("alert").filter(has_text="It goes on by itself as soon as the connection is back.").wait_for()
    page.goto("/log")
    page.unroute("**/api/v1/voices")
    page.goto("/consent")
    page.locator("#training-progress").wait_for()

    # Told as it happens: stage, percent, time left, and the curve from its first point after coming back.
    voice = until(lambda: Voice.objects.first())
    run = claim(voice.jobs.get().id)
    ticks = iter(range(0, 100, 2))
    report = Reporter(run, clock=lambda: float(next(ticks)))
    for share, loss in ((0.1, 3.5), (0.2, 2.5), (0.25, 2.0)):
        report("semantic", share, 60.0, loss)
    page.get_by_text("25 % · Learning how you read, about 1 min 00 s left").wait_for()
    page.goto("/consent")
    page.get_by_text("For the curious").click()
    page.get_by_text("Learning how you read: loss from 3.50 to 2.00").wait_for()
    chart = page.get_by_role("img", name="Learning how you read: loss from 3.50 to 2.00").locator("canvas")
    chart.wait_for()
    until(lambda: chart.evaluate(DRAWN))
    assert Consent.objects.count() == Voice.objects.count() == 1
    accessible(page, "training")
    page.get_by_role("button", name="Start over").click()
    page.get_by_role("button", name="show the words").wait_for()


def test_a_click_that_comes_before_the_script_is_not_lost_and_sends_nothing(page, sign_in, person):
    page.add_init_script(MICROPHONE)
    owner = person()
    late = []
    page.route("**/web/challenge*.js", lambda route: late.append(route))
    page.route("**/web/manner*.js", lambda route: late.append(route))
    sign_in(owner).goto(f"/voices/{own_voice(owner).id}", wait_until="commit")
    page.locator("#go").wait_for()
    until(lambda: page.wait_for_timeout(50) or late)  # routes are told of while the page is waited for
    assert page.locator("#speak").evaluate("one => one.inert")
    page.locator("#text").evaluate("one => { one.value = 'Not for the address.'; }")
    box = page.locator("#go").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert "?" not in page.url
    late.pop().continue_()
    page.locator("#speak:not([inert])").wait_for()

    page.goto("/consent", wait_until="commit")
    page.get_by_role("button", name="show the words", include_hidden=True).wait_for()
    until(lambda: page.wait_for_timeout(50) or late)
    assert not Challenge.objects.filter(state="open").exists()
    late.pop().continue_()
    page.get_by_role("button", name="show the words").click()
    page.locator("#words").wait_for()
