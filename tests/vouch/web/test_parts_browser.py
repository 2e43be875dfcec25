"""Lists are searched and grow within their page (htmx): the answer is the page itself, with its own rights."""

from typing import Any

import pytest

from safety import desk
from tests.marketplace.factories import ready_voice
from tests.safety.desk import hold, settled
from tests.vouch.web.test_browser import accessible, until
from tests.vouch.web.test_takes import recorded
from vouch.web import takes

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
FOCUSED = "[...document.querySelectorAll('[data-take]')].indexOf(document.activeElement)"

PAGES_KEPT = "Object.keys({...localStorage, ...sessionStorage}).filter((key) => key.includes('history-cache'))"


def test_recordings_are_found_and_go_on_without_a_new_page(page: Any, sign_in: Any, person: Any) -> None:
    owner = person()
    recorded(owner, ready_voice(owner, rehearsal=True), "Good morning.", takes.PAGE + 1)
    recorded(owner, ready_voice(owner, rehearsal=True), "Good night.", 2, container="flac")
    sign_in(owner).goto("/recordings")
    page.evaluate("window.here = true")
    rows = page.locator("[data-take]")
    assert rows.count() == takes.PAGE

    page.get_by_role("link", name="Older").click()
    rows.nth(takes.PAGE + 2).wait_for()
    assert rows.count() == takes.PAGE + 3
    assert page.get_by_role("link", name="Older").count() == 0
    until(lambda: page.evaluate(FOCUSED) == takes.PAGE)  # the link that had the focus is gone
    accessible(page, "a longer list")

    page.get_by_label("Format").select_option("flac")
    page.get_by_role("button", name="Search").click()
    page.get_by_text("Found: 2", exact=True).wait_for()
    assert rows.count() == 2
    assert "container=flac" in page.url
    assert page.evaluate("window.here"), "it is the same page still"

    # A line that breaks, and a session that ended meanwhile: said here, or by the page that the server has for it.
    page.context.set_offline(True)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("alert").filter(has_text="unreachable").wait_for()
    assert rows.count() == 2
    page.context.set_offline(False)
    page.context.clear_cookies()
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/sign-in?next=**")


def test_what_was_searched_before_is_a_step_back(page: Any, sign_in: Any, person: Any) -> None:
    owner = person()
    recorded(owner, ready_voice(owner, rehearsal=True), "Good morning.", 2)
    recorded(owner, ready_voice(owner, rehearsal=True), "Good night.", 1, container="flac")
    sign_in(owner).goto("/recordings?container=flac")
    assert page.locator("[data-take]").count() == 1
    page.get_by_label("Format").select_option("mp3")
    page.get_by_role("button", name="Search").click()
    page.get_by_text("Found: 2", exact=True).wait_for()
    page.go_back()
    page.wait_for_url("**/recordings?container=flac")
    until(lambda: page.locator("[data-take]").count() == 1)
    assert page.evaluate(PAGES_KEPT) == []


def test_the_archive_goes_on_below_its_last_case(page: Any, sign_in: Any, person: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(desk, "PAGE", 2)
    for decision in ("refuse", "allow", "refuse"):
        settled(person("moderator"), hold(person()), decision)
    sign_in(person("auditor")).goto("/desk/archive")
    rows = page.locator("[data-found] > li")
    assert rows.count() == 2
    page.get_by_role("link", name="More").click()
    rows.nth(2).wait_for()
    assert rows.count() == 3
    accessible(page, "a longer archive")
