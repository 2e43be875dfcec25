"""A reading that was recorded and not sent: a closed tab does not lose it, nobody else finds it (docs/custody.md)."""

from typing import Any

import pytest

from consent.models import Recording
from consent.prompts import sentences
from tests.vouch.web.test_browser import accessible, until
from tests.vouch.web.test_upload_browser import KEPT, arrived_once

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
KEEPS_NOTHING = "IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError'); };"
OVER = """() => new Promise((done) => {
  indexedDB.open("vouch", 1).onsuccess = ({ target: { result } }) => {
    const all = result.transaction("parcels", "readwrite").objectStore("parcels");
    all.getAll().onsuccess = (found) => {
      for (const one of found.target.result) all.put({ ...one, until: Date.now() - 1 });
    };
    all.transaction.oncomplete = () => { result.close(); done(); };
  };
})"""
"""What is kept in the browser is a day older than it was."""


def read(page: Any) -> str:
    """Hums for long enough that there is more than one piece of it, and stops before sending; the sentence shown."""
    page.get_by_role("button", name="Start reading").click()
    page.get_by_role("button", name="Next sentence").wait_for()
    sentence = str(page.locator("#sentence").inner_text())
    page.wait_for_timeout(4_500)
    page.get_by_role("button", name="Finish this reading").click()
    page.get_by_text("Until then it is kept in this browser alone, at most until").wait_for()
    return sentence


def test_it_is_offered_again_after_a_closed_tab_and_sent_once(page: Any, at_the_reading: Any, person: Any) -> None:
    at_the_reading(person())
    sentence = read(page)
    assert sentence == sentences("en")[0]
    page.goto("/")
    note = page.locator("#waiting")
    note.wait_for()
    assert "1 reading of you has not arrived here. This browser alone keeps it" in note.inner_text()
    accessible(page, "a reading that waits in the browser")
    assert not Recording.objects.exists()
    note.get_by_role("link", name="Go on with the reading").click()
    page.get_by_text("You recorded this before you left this page, and have not sent it.").wait_for()
    assert page.locator("#sentence").inner_text() == sentence
    until(lambda: page.locator("#reading-audio").evaluate("one => one.duration > 3"))
    accessible(page, "a reading that was left behind")
    page.get_by_role("button", name="Send this reading").click()
    page.get_by_text("Listening …").wait_for()
    assert arrived_once().transcript == sentence
    assert page.evaluate(KEPT) == 0
    # The script goes on behind what was read, also after coming back.
    page.goto("/consent")
    page.get_by_role("button", name="Start reading").click()
    page.get_by_role("button", name="Next sentence").wait_for()
    assert page.locator("#sentence").inner_text() == sentences("en")[1]
    page.get_by_role("button", name="Start over", exact=True).click()


def test_it_goes_when_it_is_not_wanted_when_its_time_is_over_and_with_signing_out(
    page: Any, sign_in: Any, at_the_reading: Any, person: Any
) -> None:
    speaker = person()
    at_the_reading(speaker)
    read(page)
    page.get_by_role("button", name="Discard it").click()
    until(lambda: page.evaluate(KEPT) == 0)
    assert page.evaluate("document.activeElement.id") == "reading-start"

    # Thrown away from the list of what is kept.
    read(page)
    page.goto("/me")
    page.get_by_role("button", name="Delete from this browser").click()
    until(lambda: page.evaluate(KEPT) == 0)
    assert page.locator("#waiting").is_hidden()

    # Its time is over: it is neither offered nor kept.
    page.goto("/consent")
    read(page)
    page.goto("/log")
    page.evaluate(OVER)
    page.goto("/")
    until(lambda: page.evaluate(KEPT) == 0)
    assert page.locator("#waiting").is_hidden()

    page.goto("/consent")
    read(page)
    page.evaluate("sessionStorage.setItem('vouch-speak', 'words')")
    with page.expect_navigation():
        page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Create an account").wait_for()
    until(lambda: page.evaluate(KEPT) == 0)
    assert page.evaluate("sessionStorage.length") == 0
    sign_in(speaker).goto("/consent")
    page.get_by_text("You are back where you stopped.").wait_for()
    assert page.get_by_role("button", name="Start reading").is_visible()
    assert page.locator("#reading-check").is_hidden()
    assert not Recording.objects.exists()


def asks_before_it_closes(page: Any) -> bool:
    """Whether the browser asks the person, who then stays."""
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.close(run_before_unload=True)
    page.wait_for_timeout(1_500)
    page.remove_listener("dialog", stay)
    return asked == ["beforeunload"]


def test_where_nothing_is_kept_and_while_somebody_reads_the_browser_asks_first(
    page: Any, at_the_reading: Any, person: Any
) -> None:
    page.add_init_script(KEEPS_NOTHING)
    at_the_reading(person())
    page.get_by_role("button", name="Start reading").click()
    page.get_by_role("button", name="Next sentence").wait_for()
    page.wait_for_timeout(1_500)
    assert asks_before_it_closes(page), "while somebody reads"
    page.get_by_role("button", name="Finish this reading").click()
    page.get_by_text("This browser keeps nothing: send it before you close this page.").wait_for()
    assert asks_before_it_closes(page), "before it is sent"
    page.get_by_role("button", name="Send this reading").click()
    page.get_by_text("Listening …").wait_for()
    assert Recording.objects.get().state == "received"
