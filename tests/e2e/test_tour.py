"""The first visit, whole: from signing up to a traced download, in a real browser on the running system."""

import os

import pytest

from demo import tour

pytestmark = [pytest.mark.enable_socket, pytest.mark.browser, pytest.mark.slow]


@pytest.mark.timeout(1_200)
def test_from_signing_up_to_a_traced_download(live, tmp_path, record_property):
    if not tour.Path(tour.CHROMIUM).exists():
        pytest.skip(f"there is no Chromium at {tour.CHROMIUM} (set VOUCH_CHROMIUM)")
    microphone = tmp_path / "voice.wav"
    with tour.browser(microphone) as chromium:
        page = chromium.new_page(base_url=live.address, viewport=tour.SIZE, locale="en-GB", accept_downloads=True)
        said, times = tour.Visit(page, microphone).whole(tmp_path)
    assert said == "Yes: made here by artificial intelligence"
    took = {step: round(seconds) for step, seconds in times.items()} | {"load": round(os.getloadavg()[0], 1)}
    record_property("seconds to the first sentence", times["first sentence"])
    assert times["first sentence"] <= tour.FIRST_SENTENCE_S, took
