"""The studio without a mouse: every control is reached, shows that it is, and a sentence is spoken and heard."""

from typing import Any

import pytest

from cloning.models import SpeechRequest
from tests.cloning import factories as make
from tests.vouch.web.test_browser import finished, own_voice, until

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
FOCUSED = """() => {
  const one = document.activeElement;
  const box = one.getBoundingClientRect();
  const { outlineStyle, outlineWidth } = getComputedStyle(one);
  return {
    id: one.id || one.name || one.textContent.trim().slice(0, 40),
    seen: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
    inside: box.bottom > 0 && box.top < innerHeight,
  };
}"""
CONTROLS = """() => [...document.querySelectorAll("main *")]
  .filter((one) => one.matches("a[href], button, input, select, textarea, summary, [tabindex='0']"))
  .filter((one) => one.checkVisibility() && !one.disabled && one.type !== "radio")
  .map((one) => one.id || one.name || one.textContent.trim().slice(0, 40))"""
MOST = 120


def walked(page: Any) -> list[str]:
    """Every stop of the Tab key, from the top of the page until it has left ``main``."""
    stops: list[str] = []
    page.evaluate("scrollTo(0, 0)")
    page.locator("#main").focus()
    for _ in range(MOST):
        page.keyboard.press("Tab")
        if not page.evaluate("document.activeElement.closest('main') !== null"):
            return stops
        stop = page.evaluate(FOCUSED)
        assert stop["seen"], f"{stop['id']} does not show that it has the focus"
        assert stop["inside"], f"{stop['id']} has the focus out of sight"
        stops.append(stop["id"])
    raise AssertionError("the Tab key does not get out again")


def test_every_control_is_a_stop_and_shows_it(page: Any, sign_in: Any, person: Any) -> None:
    owner = person()
    voice = own_voice(owner)
    sign_in(owner)
    for path in (f"/voices/{voice.id}", f"/voices/{voice.id}/batch", "/consent", "/me", "/recordings", "/trace"):
        page.goto(path)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip", path
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main", path
        stops = walked(page)
        assert sorted(set(page.evaluate(CONTROLS)) - set(stops)) == [], path


def test_a_sentence_is_written_set_spoken_and_heard(page: Any, sign_in: Any, person: Any) -> None:
    owner = person()
    sign_in(owner).goto(f"/voices/{own_voice(owner).id}")
    page.locator("#main").focus()

    def to(target: str) -> None:
        for _ in range(MOST):
            page.keyboard.press("Tab")
            if page.evaluate("(target) => document.activeElement.matches(target)", target):
                return
        raise AssertionError(f"{target} is not reached")

    to("#text")
    page.keyboard.type(make.TEXT)
    to("[name=mood]")
    page.keyboard.press("ArrowRight")  # the first mood
    to("#speed")
    page.keyboard.press("ArrowRight")
    to("#seed")
    page.keyboard.type("41")
    page.keyboard.press("Enter")  # as in any form
    request = until(lambda: SpeechRequest.objects.first())
    assert (request.seed, request.text_digest != "") == (41, True)
    assert request.manner["speed"] > 1
    made = finished(request)
    take = page.locator(f'[data-output="{made.id}"]')
    take.locator("audio[src]").wait_for(state="attached")
    until(lambda: page.evaluate("document.activeElement.dataset.output") == str(made.id))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Play"
    page.keyboard.press("Enter")
    until(lambda: take.locator("audio").evaluate("one => !one.paused"))
    page.keyboard.press("k")
    until(lambda: take.locator("audio").evaluate("one => one.paused"))
