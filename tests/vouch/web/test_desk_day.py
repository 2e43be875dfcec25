"""The day of docs/desk.md, walked whole in Chromium against `make desk` as a newcomer has it: slow, and all of it real.

With ``VOUCH_DESK_DAY=ADDRESS`` and the printed accounts in ``VOUCH_DESK_ACCOUNTS`` (JSON) a desk that stands already is
walked instead of a new one.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vouch.factors import STEP_SECONDS, code_of

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.enable_socket, pytest.mark.timeout(3_600)]
ROOT = Path(__file__).parents[3]
PATIENCE_S = 45 * 60
"""A voice is trained on the way; a busy machine takes its time."""
LINE = re.compile(r"^ {2}(first moderator|second moderator|senior moderator|auditor|operator) +(\S+@\S+) +(\S+)$")


@pytest.fixture(scope="module")
def day() -> Iterator[tuple[str, dict[str, tuple[str, str]]]]:
    """The address of a desk that stands, and e-mail address and password of its accounts."""
    if address := os.environ.get("VOUCH_DESK_DAY"):
        yield address, json.loads(os.environ["VOUCH_DESK_ACCOUNTS"])
        return
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "demo.desk", "--port", "8931"],
        cwd=ROOT, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as running:  # fmt: skip
        try:
            yield opened(running)
        finally:
            running.terminate()


def opened(running: "subprocess.Popen[str]") -> tuple[str, dict[str, tuple[str, str]]]:
    """What it prints when the desk stands."""
    assert running.stdout is not None
    said: list[str] = []
    accounts: dict[str, tuple[str, str]] = {}
    deadline = time.monotonic() + PATIENCE_S
    for line in running.stdout:
        said.append(line)
        if found := LINE.match(line.rstrip("\n")):
            accounts[found[1]] = (found[2], found[3])
        if line.startswith("The day, step by step") or time.monotonic() > deadline:
            break
    assert set(accounts) == {"first moderator", "second moderator", "senior moderator", "auditor", "operator"}, said
    (address,) = (found[1] for line in said if (found := re.match(r"The desk is at (\S+)/desk\.", line)))
    return address, accounts


def codes(page: Any, password: str) -> Callable[[], str]:
    """Sets up an authenticator app as a person would; what is returned shows its next code, each once."""
    page.goto("/second-factor")
    page.get_by_role("link", name="Add an authenticator app").click()
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Confirm").click()
    page.locator("#secret").wait_for()
    secret = page.locator("#secret").inner_text()
    used = step()
    page.get_by_label("Code").fill(code_of(secret))
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_url("**/second-factor/recovery")

    def fresh() -> str:
        nonlocal used
        while step() < used:  # a code of the next half minute is taken, a later one is not
            time.sleep(1)
        ahead = 0 if step() > used else 1
        used = step() + ahead
        return code_of(secret, ahead)

    return fresh


def step() -> int:
    return int(time.time()) // STEP_SECONDS


def test_a_newcomer_walks_the_whole_day(chromium: Any, day: tuple[str, dict[str, tuple[str, str]]]) -> None:
    address, accounts = day

    def sit_down(name: str) -> Any:
        tab = chromium.new_context(base_url=address, locale="en-GB").new_page()
        tab.set_default_timeout(60_000)
        tab.goto("/sign-in")
        tab.get_by_label("E-mail address").fill(accounts[name][0])
        tab.get_by_label("Password").fill(accounts[name][1])
        tab.get_by_role("button", name="Sign in", exact=True).click()
        tab.wait_for_url(lambda url: "/sign-in" not in url)
        return tab

    # 1. second factors
    first, senior = sit_down("first moderator"), sit_down("senior moderator")
    code = codes(first, accounts["first moderator"][1])
    seniors_code = codes(senior, accounts["senior moderator"][1])

    # 2.-4. claim, decide, undo
    first.goto("/desk")
    first.keyboard.press("n")
    first.wait_for_url(re.compile(r"/desk/[0-9a-f-]{36}$"))
    first.locator("#submit").wait_for()
    case = first.url
    first.keyboard.press("x")
    first.keyboard.press("Enter")
    first.locator("[data-undo]").wait_for()
    first.keyboard.press("u")
    first.wait_for_url(case)
    first.locator("#release").wait_for()

    # 5. listen
    first.goto("/desk?kind=report")
    recording = first.locator("#queue a", has_text="output").first.get_attribute("href")
    voice = first.locator("#queue a", has_text="voice").first.get_attribute("href")
    first.goto(recording)
    first.keyboard.press("c")
    first.locator(".segments button").first.click()
    first.keyboard.press("s")

    # 6. destroy, by two people
    first.goto(voice)
    first.keyboard.press("c")
    first.locator("#release").wait_for()
    case = first.url
    first.keyboard.press("Shift+D")
    first.locator("#reason").fill("Made from a stolen recording.")
    first.locator("#clause").fill("voice.stolen")
    first.get_by_role("button", name="Decide and go on").click()
    first.locator("#stepup").wait_for()
    first.locator("#code").fill(code())
    first.get_by_role("button", name="Confirm").click()
    first.wait_for_url(lambda url: url != case)  # it is decided, and the next case is there
    senior.goto(case)
    senior.keyboard.press("y")
    senior.locator("#code").fill(seniors_code())
    senior.get_by_role("button", name="Confirm").click()
    senior.locator("#agree").wait_for(state="detached")

    # 7. the notice
    first.goto("/desk/notices")
    first.get_by_text("Ida Ohnesorg").first.wait_for()
    first.get_by_role("button", name="Open a case").click()
    first.get_by_text("No notice waits").wait_for()

    # 8. the appeal
    first.goto("/desk/appeals")
    first.locator(".rows a").first.click()
    first.get_by_label("Ask or answer").fill("Which school is it?")
    first.get_by_role("button", name="Send").click()
    first.get_by_text("Which school is it?").wait_for()
    first.keyboard.press("o")
    first.keyboard.type("A school play, as the thread shows.")
    first.get_by_role("button", name="Decide, once").click()
    first.locator(".chip.decided").wait_for()

    # 9. the export
    auditor = sit_down("auditor")
    auditor.goto("/desk/figures")
    with auditor.expect_download() as download:
        auditor.get_by_role("link", name="CSV").click()
    assert Path(download.value.path()).read_text().count("\n") >= 2
