"""What the level meter says while somebody records: too quiet, too loud, noisy, or nothing when it is good."""

from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
HEAR = """async (stretches) => {
  const { Meter } = await import("/static/web/recorder.js");
  let now = 0;
  performance.now = () => now;
  const meter = new Meter(document.querySelector("[data-level]"));
  return stretches.map(([seconds, levels, peak]) => {
    for (let n = 0; n < 10 * seconds; n++) {
      now += 100;
      meter.take({ rms: 10 ** (levels[n % levels.length] / 20), peak });
    }
    return [meter.advice.textContent, meter.bar.value];
  });
}"""
"""Ten levels a second, in dBFS, for so many seconds each; what stands beside the meter after each stretch."""
SPEECH = [-20, -18, -22, -19, -62, -60]
"""Words and the pauses between them in a quiet room."""


def test_it_says_what_to_do_and_stops_when_it_is_good(page: Any) -> None:
    page.goto("/trace")
    stretches = [
        (6, SPEECH, 0.4),
        (1, [-61], 0.001),  # a pause is no whisper
        (3, [-61, -50], 0.004),
        (2.5, SPEECH, 0.4),
        (0.1, [-6], 0.99),
        (2.5, SPEECH, 0.4),
        (5, [-30, -26, -33], 0.2),
        (5, SPEECH, 0.4),
    ]
    said = page.evaluate(HEAR, [list(one) for one in stretches])
    assert [words.partition(":")[0] for words, _ in said] == ["", "", "Too quiet", "", "Too loud", "", "Noisy", ""]
    assert "come closer or speak up" in said[2][0]
    assert "move back a little" in said[4][0]
    assert said[4][1] == pytest.approx(-6, abs=0.1)  # the meter itself shows the level
    advice = page.locator("[data-level-advice]")
    assert advice.get_attribute("role") == "status"


def test_in_chinese_too(page: Any, live_server: Any) -> None:
    page.context.add_cookies([{"name": "django_language", "value": "zh-hans", "url": live_server.url}])
    page.goto("/trace")
    said = page.evaluate(HEAR, [[3, [-61, -50], 0.004], [1, [-6], 0.99], [6, [-30, -26], 0.2]])
    assert [words[:2] for words, _ in said] == ["声音", "声音", "有噪"]
