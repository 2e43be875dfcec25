"""The moderator's day in a real browser: claim, listen, decide, undo, second approval, appeal, export; and axe.

With ``VOUCH_SCREENSHOTS=FOLDER`` the pictures of docs/desk.md are taken on the way.
"""

import hashlib
import io
import json
import os
import time
import uuid
import wave
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import transaction

from cloning.models import Output
from foundation import clock
from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from safety import quality, services
from safety.models import Appeal, Case, Check, Exposure, Note, Notice, Restriction, Ruling
from tests.cloning import factories as make
from tests.safety.desk import hold, reported, rule, settled
from tests.vouch.factors import app_of
from tests.vouch.web.test_browser import accessible
from vouch.desk import effects

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
SHOTS = os.environ.get("VOUCH_SCREENSHOTS")
XSS = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"


@pytest.fixture(autouse=True)
def left_at_the_end(page: Any) -> Iterator[None]:
    """A page that is closed gives its case back, by a request that outlives it: it has to be over before the tables are
    emptied for the next test."""
    yield
    page.goto("/log")
    until(lambda: not Case.objects.filter(state="claimed").exists())


def shot(page: Any, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"desk-{name}.png", full_page=False, scale="css")


def in_time(page: Any) -> None:
    """The undo window passes."""
    clock.move_forward(timedelta(seconds=61))
    effects.settle_due()


def until(look: Any, seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("nothing came")


def sounding_output(owner: Any, seconds: float = 6.0) -> Output:
    """An output whose sound is three tones with pauses between them, sealed as a worker seals one."""
    from cloning import services as cloning

    voice = make.voice(owner, make.consent(owner), name="Harbour voice")
    request = cloning.request_speech(
        actor=Actor.of(owner), voice_id=voice.id, text=make.TEXT, language="en", seed=1, container="wav"
    )
    at = np.arange(int(16_000 * seconds)) / 16_000
    samples = 0.3 * np.sin(2 * np.pi * 330 * at) * (np.mod(at, 2.0) < 1.6)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    data = out.getvalue()
    system, ref = Actor.system("test"), str(uuid.uuid4())
    with transaction.atomic():
        key = vault.create_key(kind="output", owner_ref=ref, actor=system)
        sealed = vault.store(key=key, kind="output", owner_ref=ref, data=data, not_after=None, actor=system)
    return Output.objects.create(
        request_id=request.id, voice=voice, requester=owner, sealed=sealed, media_type="audio/wav",
        sha256=hashlib.sha256(data).hexdigest(), seconds=seconds, label_seconds=1.0, mark_payload=4711,
        provenance={}, leaf_index=0, rehearsal=True,
    )  # fmt: skip


def test_a_text_case_is_decided_in_three_keystrokes_and_undone_with_one(page, sign_in, person):
    first, second = hold(person()), hold(person())
    moderator = person("moderator")
    sign_in(moderator).goto("/desk")
    shot(page, "queue")
    accessible(page, "queue")
    page.keyboard.press("n")
    page.wait_for_url(f"**/desk/{first.id}")
    page.locator("#submit").wait_for()
    shot(page, "case")
    accessible(page, "case")
    page.keyboard.press("x")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/desk/{second.id}")  # decided, and the next one is there
    ruling = Ruling.objects.get()
    assert (ruling.case_id, ruling.decision, ruling.state) == (first.id, "refuse", "waiting")
    assert "known pattern of fraud" in ruling.reason
    page.locator("[data-undo]").wait_for()
    shot(page, "undo")
    page.keyboard.press("u")
    page.wait_for_url(f"**/desk/{first.id}")
    ruling.refresh_from_db()
    assert (ruling.state, Case.objects.get(id=first.id).state) == ("undone", "claimed")
    assert not Restriction.objects.exists()


def test_keys_rest_while_somebody_types_and_a_left_case_goes_back(page, sign_in, person):
    case = hold(person())
    moderator = person("moderator")
    sign_in(moderator).goto("/desk")
    page.keyboard.press("n")
    page.wait_for_url(f"**/desk/{case.id}")
    page.locator("#note-text").fill("")
    page.keyboard.type("axe bnq")  # each a key elsewhere
    assert page.locator("#note-text").input_value() == "axe bnq"
    page.get_by_role("button", name="Keep the note").click()
    page.get_by_text("axe bnq").first.wait_for()
    assert Note.objects.get().text == "axe bnq"
    assert Case.objects.get().claimed_by_id == moderator.id
    page.locator("body").click(position={"x": 3, "y": 400})
    page.keyboard.press("b")
    page.wait_for_url("**/desk")
    until(lambda: Case.objects.get().state == "open")


def test_the_palette_finds_what_the_page_can_do(page, sign_in, person):
    case = hold(person())
    sign_in(person("moderator")).goto(f"/desk/{case.id}")
    page.keyboard.press("Control+k")
    page.locator("#command").fill("claim")
    page.locator("#commands li").first.wait_for()
    shot(page, "palette")
    accessible(page, "palette")
    page.keyboard.press("Enter")
    page.locator("#release").wait_for()
    assert Case.objects.get().state == "claimed"


def test_listening_is_by_segment_soft_and_counted(page, sign_in, person):
    output = sounding_output(person())
    case = reported(person(), kind="output", ref=output.id, text="That is my voice.")
    moderator = person("moderator")
    page.add_init_script(
        "window.gains = []; const G = GainNode; window.GainNode = class extends G {"
        "constructor(c, o) { super(c, o); window.gains.push(this.gain.value); } };"
    )
    sign_in(moderator).goto(f"/desk/{case.id}")
    assert page.locator(".outline").count() == 0  # nothing is opened before the case is claimed
    assert not Leaf.objects.filter(kind="case.viewed", body__contains=b'"sound"').exists()
    page.keyboard.press("c")
    page.locator(".outline").wait_for()
    segments = page.locator(".segments button")
    assert segments.count() == 3
    assert page.evaluate("window.gains") == []  # drawn, not played
    shot(page, "listen")
    accessible(page, "listening")
    page.locator("#volume").evaluate("one => { one.max = 1; one.value = 1; }")  # as a meddler would
    segments.first.click()
    until(lambda: page.evaluate("window.gains.length"))
    assert page.evaluate("window.gains") == [0.5]
    page.keyboard.press("s")
    until(lambda: Exposure.objects.filter(person=moderator, seconds_heard__gt=0).exists())
    whats = [json.loads(bytes(leaf.body))["data"]["what"] for leaf in Leaf.objects.filter(kind="case.viewed")]
    assert "sound" in whats


def test_destroying_a_voice_asks_for_the_code_and_for_a_second_person(page, sign_in, person):
    voice = make.voice(owner := person(), make.consent(owner), name="Borrowed voice")
    case = reported(person(), ref=voice.id)
    moderator, senior = person("moderator"), person("senior")
    code, seniors_code = app_of(moderator), app_of(senior)
    sign_in(moderator).goto(f"/desk/{case.id}")
    page.keyboard.press("c")
    page.locator("#release").wait_for()
    page.wait_for_load_state()
    page.keyboard.press("Shift+D")
    page.locator("#reason").fill("Made from a stolen recording.")
    page.locator("#clause").fill("voice.stolen")
    page.get_by_role("button", name="Decide and go on").click()
    page.locator("#stepup").wait_for()
    accessible(page, "step-up")
    shot(page, "step-up")
    page.locator("#code").fill(code())
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_url("**/desk")
    assert Ruling.objects.get().state == "second"
    sign_in(senior).goto("/desk")
    page.get_by_text("A second person is needed").wait_for()
    page.goto(f"/desk/{case.id}")
    shot(page, "second")
    accessible(page, "second person")
    page.keyboard.press("y")
    page.locator("#code").fill(seniors_code())
    page.get_by_role("button", name="Confirm").click()
    page.locator("#agree").wait_for(state="detached")
    assert Ruling.objects.get().state == "waiting"
    in_time(page)
    voice.refresh_from_db()
    assert voice.state == "destroyed"


def test_a_refused_person_reads_why_and_appeals_and_another_moderator_answers(page, sign_in, person):
    customer, moderator, judge = person(), person("moderator"), person("moderator")
    settled(moderator, hold(customer), "refuse", reason=XSS)
    sign_in(customer).goto("/reasons")
    page.get_by_text("We do not make the recording").wait_for()
    shot(page, "reasons")
    accessible(page, "statement of reasons")
    page.get_by_label("Why is this wrong?").fill(XSS)
    page.get_by_role("button", name="Appeal").click()
    page.get_by_text("We answer by").wait_for()
    assert page.title() != "owned"
    sign_in(moderator).goto("/desk/appeals")
    page.get_by_text("No appeal waits for you.").wait_for()
    sign_in(judge).goto("/desk/appeals")
    page.locator(".rows a").first.click()
    page.wait_for_load_state()
    page.get_by_label("Ask or answer").fill("Which school is it?")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Which school is it?").wait_for()
    shot(page, "appeal")
    accessible(page, "appeal")
    page.keyboard.press("o")
    page.keyboard.type("A school play, as the thread shows.")
    page.get_by_role("button", name="Decide, once").click()
    page.locator(".chip.decided").wait_for()
    assert page.title() != "owned"
    assert Appeal.objects.get().outcome == "overturned"
    assert Case.objects.filter(reverses__isnull=False).count() == 1


def test_bulk_is_confirmed_with_its_number(page, sign_in, person):
    for _ in range(3):
        hold(person())
    sign_in(person("moderator")).goto("/desk")
    for one in page.locator("#queue input[type=checkbox]").all()[:2]:
        one.check()
    page.get_by_text("Decide the chosen cases together").click()
    page.get_by_label("Refuse").check()
    page.get_by_label("Reason").fill("One campaign.")
    page.get_by_label("Clause").fill("fraud.family-emergency")
    page.get_by_label("How many cases").fill("3")
    page.get_by_role("button", name="Decide them all").click()
    page.get_by_text("count_mismatch").wait_for()
    assert not Ruling.objects.exists()
    page.get_by_label("How many cases").fill("2")
    page.get_by_role("button", name="Decide them all").click()
    page.locator("[data-undo]").first.wait_for()
    assert Ruling.objects.count() == 2


def test_a_stranger_sends_a_notice_and_the_desk_reads_it(page, sign_in, person):
    output = uuid.uuid4()
    page.goto(f"/notice?output={output}")
    accessible(page, "notice")
    shot(page, "notice")
    page.get_by_label("Whose voice it is").fill("Ida Ohnesorg")
    page.get_by_label("What it says or does").fill(XSS)
    page.get_by_label("Your name", exact=True).fill("Ida Ohnesorg")
    page.get_by_label("E-mail address").fill("ida@example.org")
    page.get_by_label("Postal address").fill("1 Harbour Lane")
    page.get_by_label("Telephone").fill("+1 555 0100")
    page.get_by_label("I believe in good faith").check()
    page.get_by_label("What I state here is accurate").check()
    page.get_by_label("Signature").fill("/Ida/")
    page.get_by_role("button", name="Send the notice").click()
    page.locator("#received").wait_for()
    number, secret = (page.locator("#received p").nth(n).inner_text().split(": ")[1] for n in (1, 2))
    page.get_by_label("Number of the notice").fill(number)
    page.get_by_label("Its secret").fill(secret)
    page.get_by_role("button", name="Look").click()
    page.get_by_text("received", exact=True).wait_for()
    sign_in(person("moderator")).goto("/desk/notices")
    assert XSS in page.locator("article").inner_text()
    accessible(page, "notices")
    page.get_by_role("button", name="Open a case").click()
    page.get_by_text("No notice waits").wait_for()
    assert page.title() != "owned"
    assert Notice.objects.get().case.kind == "notice"


def test_a_check_looks_like_a_case(page, sign_in, person, monkeypatch):
    monkeypatch.setattr(quality, "SHARE", 1)
    rule(person("moderator"), hold(person()), "refuse")
    in_time(page)
    sign_in(person("moderator")).goto("/desk")
    page.keyboard.press("n")
    page.wait_for_url("**/desk/checks/*")
    assert page.locator("#reason").input_value() == ""
    assert "Decided" not in page.locator("main .heading").inner_text()
    assert page.locator("#h-similar, #h-notes, #h-senior").count() == 0
    page.keyboard.press("x")
    page.keyboard.press("Enter")
    page.wait_for_url("**/desk")
    assert Check.objects.get().decision == "refuse"


def test_the_figures_and_their_export(page, sign_in, person):
    moderator = person("moderator")
    for decision in ("refuse", "allow", "refuse"):
        settled(moderator, hold(person()), decision)
    sign_in(person("auditor")).goto("/desk/figures")
    page.get_by_text("Decided a day").first.wait_for()
    shot(page, "figures")
    accessible(page, "figures")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert Path(download.value.path()).read_text().count("\n") == 4
    page.goto("/desk/archive")
    page.locator(".rows a").first.click()
    page.get_by_text("Grandma, I had an accident").wait_for()
    assert page.get_by_role("button", name="Decide and go on").count() == 0
    assert page.locator("#note").count() == 0


@pytest.mark.parametrize(("scheme", "language"), [("light", "en"), ("dark", "zh-hans")])
def test_the_desk_fits_a_small_phone_in_both_languages_and_schemes(
    page, live_server, sign_in, person, scheme, language
):
    from tests.vouch.web.test_browser import fits_and_reads

    moderator, customer = person("moderator"), person()
    settled(moderator, hold(customer), "refuse")
    case = hold(customer, text="Grandma, please send the money today, I had an accident. " + "x" * 90)
    services.claim_case(actor=Actor.of(moderator), case_id=case.id, interested=())
    page.emulate_media(color_scheme=scheme)
    page.context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
    page.set_viewport_size({"width": 360, "height": 740})
    sign_in(moderator)
    for path in ["/desk", f"/desk/{case.id}", "/desk/figures", "/desk/archive", "/desk/appeals", "/desk/notices",
                 "/second-factor", "/notice"]:  # fmt: skip
        page.goto(path)
        assert page.locator("html").get_attribute("lang") == language
        fits_and_reads(page, path)
        accessible(page, path)
    page.goto(f"/desk/{case.id}")
    shot(page, f"phone-{language}")
    sign_in(customer)
    for path in ["/reasons", "/report"]:
        page.goto(path)
        fits_and_reads(page, path)
        accessible(page, path)
