"""A reading on its way over a bad line: it goes on where it broke off, over a closed tab, and arrives once."""

import struct
from collections.abc import Callable
from typing import Any

import pytest

from consent.models import Challenge, Examination, Recording
from retention import custody
from retention.models import CustodyItem
from tests.consent.factories import decide
from tests.vouch.web.test_browser import SYSTEM, accessible, until

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
PIECE = 2**18
"""Bytes the studio sends first."""
KEPT = """() => new Promise((resolve, reject) => {
  const asked = indexedDB.open("vouch", 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore("parcels", { keyPath: "key" });
  asked.onerror = () => reject(asked.error);
  asked.onsuccess = () => {
    const count = asked.result.transaction("parcels").objectStore("parcels").count();
    count.onsuccess = () => { asked.result.close(); resolve(count.result); };
  };
})"""
LOSSY = """
  const real = globalThis.fetch;
  const lost = new Set();
  globalThis.fetch = async (address, options = {}) => {
    const answer = await real(address, options);
    const { method = "GET" } = options;
    const kind = `${method} ${new URL(address, location.href).pathname.split("/").at(-1)}`;
    if (method === "GET" || lost.has(kind)) return answer;
    lost.add(kind);
    throw new TypeError("the answer was lost");
  };
  globalThis.lost = lost;
"""


def read_and_send(page: Any) -> None:
    """Hums for long enough that the reading has more than one piece (48 kHz, 16 bit: 96 kB a second)."""
    page.get_by_role("button", name="Start reading").click()
    page.get_by_role("button", name="Next sentence").wait_for()
    page.wait_for_timeout(4_500)
    page.get_by_role("button", name="Finish this reading").click()
    page.get_by_role("button", name="Send this reading").click()


def cut_after(pieces: int, offsets: list[int]) -> Callable[[Any], None]:
    """Lets so many pieces through and breaks the connection at every later one; notes where each begins."""

    def handle(route: Any) -> None:
        if route.request.method != "PATCH":
            return route.continue_()
        offsets.append(int(route.request.headers["upload-offset"]))
        return route.continue_() if len(offsets) <= pieces else route.abort("connectionreset")

    return handle


def arrived_once() -> Recording:
    """The one reading, whole: every byte its head speaks of, and the digest the browser made of it before."""
    recording = until(lambda: Recording.objects.filter(state="received").first())
    assert Recording.objects.count() == 1
    assert Examination.objects.filter(recording=recording).count() == 1
    assert CustodyItem.objects.filter(purpose="training").count() == 1
    sound = custody.read(item=recording.custody, actor=SYSTEM)
    assert len(sound) > PIECE
    assert (sound[:4], struct.unpack_from("<I", sound, 4)[0]) == (b"RIFF", len(sound) - 8)
    return recording


def test_a_cut_line_costs_what_had_not_arrived_and_nothing_else(page: Any, at_the_reading: Any, person: Any) -> None:
    at_the_reading(person())
    offsets: list[int] = []
    page.route("**/upload", cut_after(1, offsets))
    read_and_send(page)
    page.get_by_text("No connection").wait_for()
    page.context.set_offline(True)
    page.unroute("**/upload")
    row = page.locator("#readings li")
    assert "It goes on by itself as soon as the connection is back. You can read on, or close this page" in (
        row.inner_text()
    )
    assert 0 < float(row.locator("progress").evaluate("bar => bar.value")) < 1
    accessible(page, "no connection")
    assert offsets[:2] == [0, PIECE]
    assert CustodyItem.objects.get(purpose="training").size == PIECE
    # The next can be read meanwhile, and nobody goes on to a consent that would lack this one.
    assert page.get_by_role("button", name="Start reading").is_enabled()
    assert page.get_by_role("button", name="Go on to the consent").is_disabled()
    page.context.set_offline(False)
    page.get_by_text("Listening …").wait_for()
    decide(arrived_once().examination, seconds=60.0)
    page.get_by_text("1 reading passed").wait_for()
    assert page.evaluate(KEPT) == 0, "what has arrived is not kept"


def test_a_lost_answer_doubles_nothing(page: Any, at_the_reading: Any, person: Any) -> None:
    page.add_init_script(LOSSY)
    at_the_reading(person())
    read_and_send(page)
    page.get_by_text("Listening …").wait_for()
    arrived_once()
    assert page.evaluate("[...lost].sort()") == ["PATCH upload", "POST recordings", "POST upload"]


def test_a_closed_tab_goes_on_where_it_was_and_another_person_finds_nothing(
    page: Any, sign_in: Any, at_the_reading: Any, person: Any
) -> None:
    speaker = person()
    at_the_reading(speaker)
    offsets: list[int] = []
    page.route("**/upload", cut_after(1, offsets))
    read_and_send(page)
    page.get_by_text("No connection").wait_for()
    page.goto("/log")
    assert page.evaluate(KEPT) == 1
    page.unroute("**/upload")
    went_on: list[int] = []
    page.route("**/upload", cut_after(100, went_on))
    page.goto("/consent")
    page.get_by_text("Listening …").wait_for()
    arrived_once()
    assert went_on[0] == PIECE
    page.goto("/consent")
    page.locator("#readings li").wait_for()
    page.get_by_text("Listening …").wait_for()
    assert page.locator("#readings li").count() == 1

    # Left behind on a shared computer: whoever signs in next neither sends it nor keeps it.
    page.unroute("**/upload")
    page.route("**/upload", cut_after(0, []))
    read_and_send(page)
    page.get_by_text("No connection").wait_for()
    page.goto("/log")
    assert page.evaluate(KEPT) == 1
    page.unroute("**/upload")
    sign_in(person()).goto("/consent")
    page.get_by_role("button", name="show the words").wait_for()
    until(lambda: page.evaluate(KEPT) == 0)


def test_what_is_refused_can_be_sent_again_or_thrown_away(page: Any, at_the_reading: Any, person: Any) -> None:
    challenge = at_the_reading(person())
    Challenge.objects.filter(id=challenge.id).update(state="expired")
    read_and_send(page)
    row = page.locator("#readings li")
    row.get_by_role("button", name="Send it again").wait_for()
    assert "challenge" in row.inner_text().lower()
    Challenge.objects.filter(id=challenge.id).update(state="passed")
    row.get_by_role("button", name="Send it again").click()
    page.get_by_text("Listening …").wait_for()
    arrived_once()
    # One that is not wanted any more is thrown away while it waits.
    page.route("**/upload", cut_after(0, []))
    read_and_send(page)
    waiting = page.locator("#readings li").filter(has_text="No connection")
    waiting.get_by_role("button", name="Discard it").click()
    waiting.wait_for(state="detached")
    until(lambda: page.evaluate(KEPT) == 0)
    assert Recording.objects.filter(state="received").count() == 1
