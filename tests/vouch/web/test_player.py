"""The embeddable player in a real browser: the label first, then the sound, and none once it is revoked."""

import pytest

from cloning import services
from foundation.identity.actors import Actor
from tests.cloning import factories as make
from tests.vouch.web.test_browser import SYSTEM, finished, own_voice
from watermark import status
from watermark.models import IssuedMark

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]

EMBED = """async ([list, index, lang]) => {
  await import("/static/web/player.js");
  const player = document.createElement("vouch-player");
  for (const [name, value] of Object.entries({ src: "/no.wav", list, index, voice: "Sam", seconds: "4.01" }))
    player.setAttribute(name, value);
  const box = document.createElement("div");
  box.lang = lang;
  box.append(player);
  document.body.replaceChildren(box);
}"""


def test_label_stands_before_the_sound_and_a_revoked_one_is_not_played(page, person):
    owner = person()
    voice = own_voice(owner)
    request = services.request_speech(
        actor=Actor.of(owner), voice_id=voice.id, text=make.TEXT, language="en", seed=1, container="wav"
    )
    output = finished(request)
    place = status.entry(IssuedMark.objects.get(output_ref=str(output.id)).pk)
    address, index = f"/api/v1/status/{place['list']}", str(place["index"])
    page.goto("/trace")

    page.evaluate(EMBED, [address, index, "en"])
    sound = page.get_by_label("Recording made by artificial intelligence")
    sound.wait_for(state="attached")
    said = "Speech made by artificial intelligence in the voice “Sam”. It begins with an audible label of 4.0 s."
    assert page.get_by_role("group", name=said).count() == 1
    described = page.locator(f"[id='{sound.get_attribute('aria-describedby')}']")
    assert described.inner_text() == said
    order = page.evaluate("[...document.querySelector('vouch-player').children].map((one) => one.tagName)")
    assert order == ["P", "P", "AUDIO", "P"]
    assert page.get_by_role("link", name="How do I know?").get_attribute("href").endswith("/trace")

    services.destroy_voices_for_consent(consent_id=voice.consent_id, actor=SYSTEM)
    page.evaluate(EMBED, [f"{address}?since", index, "zh"])
    page.get_by_text("此录音已被撤回").wait_for()
    page.get_by_role("link", name="如何核实").wait_for()
    assert page.locator("vouch-player audio").count() == 0

    for unknown in ("/api/v1/status/99", "/api/v1/log/checkpoint"):
        page.evaluate(EMBED, [unknown, index, "en"])
        page.get_by_text("cannot be told").wait_for()
        assert page.locator("vouch-player audio").count() == 0
