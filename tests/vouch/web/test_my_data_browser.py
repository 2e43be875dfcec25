"""My data in a real browser: what is held counts down, what is gone has its certificate, and all of it can be had."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from foundation import clock, keys
from foundation.identity.actors import Actor
from retention import certificates, custody
from retention.purposes import Purpose
from retention.sweeping import sweep
from tests.cloning import factories as make
from tests.vouch.web.test_browser import accessible, until

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
LATER = (
    "(seconds) => { const real = performance.now.bind(performance); performance.now = () => real() + 1000 * seconds; }"
)
"""So much later, for the page."""


def taken(page: Any, link: Any) -> Any:
    """The JSON behind a link that is downloaded."""
    with page.expect_download() as download:
        link.click()
    return json.loads(Path(download.value.path()).read_bytes())


def test_a_recording_counts_down_and_leaves_its_certificate(page: Any, sign_in: Any, person: Any) -> None:
    owner, other = person(), person()
    consent = make.consent(owner)
    voice = make.voice(owner, consent, name="Mine")
    make.licence(consent, other)
    item = custody.receive(
        stream=[b"sound"], purpose=Purpose.TRAINING, subject=owner, actor=Actor.of(owner), max_bytes=100
    )
    sign_in(owner).goto("/me")
    counts = page.locator("[data-seconds-left]")
    newest = counts.last
    before = newest.inner_text()
    assert before.startswith("71 h 59 min")
    page.evaluate(LATER, 3600)
    until(lambda: newest.inner_text().startswith("70 h 59 min"))
    page.evaluate(LATER, 72 * 3600)
    page.get_by_text("unreadable now").first.wait_for()
    assert counts.count() == page.get_by_text("unreadable now").count()

    assert page.locator("section[aria-labelledby='h-licences'] li").count() == 1

    # Everything, as one file: mine, and nobody else's.
    mine = json.dumps(taken(page, page.locator("a[download='vouch-export.json']").first))
    wanted = (owner.email, str(consent.id), str(voice.id), str(item.id))
    assert [one for one in wanted if one not in mine] == []
    assert other.email not in mine

    clock.move_forward(timedelta(hours=72, seconds=1))
    sweep()
    page.reload()
    page.get_by_text("no raw recording of yours can be read here now").wait_for()
    assert counts.count() == 0
    page.get_by_text("destroyed, with their certificates").click()
    certificate = taken(page, page.locator(f"a[download='deletion-{item.id}.json']"))
    said = certificates.verify(certificate, keys.public_key("log"))
    assert str(item.id) in json.dumps(said)
    accessible(page, "my data")
