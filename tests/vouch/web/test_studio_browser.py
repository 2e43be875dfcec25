"""The studio in a real browser: settings, two versions side by side, formats, what was made before."""

import json
from pathlib import Path

import pytest

from cloning import services, texts, tracing
from cloning.manner import PRESETS
from cloning.models import Output, SpeechRequest, TraceJob
from foundation import keys
from foundation.audit.verify import verify_receipt
from foundation.identity.models import ApiKey
from tests.cloning import factories as make
from tests.vouch.web.test_browser import SYSTEM, accessible, finished, own_voice, until
from tests.vouch.web.test_upload_browser import KEPT, LOSSY
from vouch.web import manners

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]

DRAWN = """one => {
  const { data } = one.getContext("2d").getImageData(0, 0, one.width, one.height);
  return data.some((value, n) => n % 4 === 3 && value > 0);
}"""
"""Whether anything is on a canvas."""


def spoken(n: int) -> list[Output]:
    """The ``n`` requests that wait are spoken."""
    waiting = until(
        lambda: len(found := SpeechRequest.objects.filter(output=None).order_by("created_at")) == n and list(found)
    )
    return [finished(one) for one in waiting]


KEEP = """(person) => new Promise((done) => {
  indexedDB.open("vouch", 1).onsuccess = ({ target: { result } }) => {
    const all = result.transaction("parcels", "readwrite").objectStore("parcels");
    all.put({ key: "one", person, challenge: "", at: Date.now(), until: Date.now() + 3.6e6, blob: new Blob(["a"]) });
    all.transaction.oncomplete = () => { result.close(); done(); };
  };
})"""
"""A reading of that person stays behind in the browser."""

LEFT_AND_BACK = """async () => {
  const { Wave } = await import("/static/web/wave.js");
  const wave = new Wave("a sound", { onSeek: () => {}, onToggle: () => {} });
  wave.length(4, 1);
  document.querySelector("main").append(wave.box);
  await new Promise((done) => {
    new ResizeObserver((_, once) => {
      once.disconnect();
      wave.box.remove();
      done();
    }).observe(wave.box);
  });
  await wave.begun;
  document.querySelector("main").append(wave.box);
  const { color, accentColor } = getComputedStyle(wave.box);
  const right = () => [wave.view.options.waveColor === color, wave.view.options.progressColor === accentColor];
  for (let asked = 0; asked < 100 && right().includes(false); asked++) {
    await new Promise((done) => setTimeout(done, 50));
  }
  return right();
}"""
"""A waveform that leaves the page before the library is there, and comes back: as in a comparison."""


def test_a_waveform_that_moved_while_it_was_made_has_its_colours(page, sign_in, person):
    owner = person()
    sign_in(owner).goto(f"/voices/{own_voice(owner).id}")
    assert page.evaluate(LEFT_AND_BACK) == [True, True]


def test_two_versions_are_compared_at_the_same_place_and_done_again(page, sign_in, person):
    owner = person()
    voice = own_voice(owner)
    sign_in(owner).goto(f"/voices/{voice.id}")
    page.get_by_label("What shall it say?").fill(make.TEXT)
    assert page.locator("#characters").inner_text() == str(len(make.TEXT))
    assert "nothing is charged" in page.locator("#cost").inner_text()
    page.get_by_text("Gentle", exact=True).click()
    page.get_by_label("Compare two versions").check()
    page.get_by_role("button", name="Version B").click()
    page.get_by_text("Excited", exact=True).click()
    page.get_by_label("Pitch").press("ArrowRight")
    page.get_by_role("button", name="Speak A and B").click()
    a, b = spoken(2)
    assert a.request.manner == {"speed": 0.92, "pause": 0.4, "liveliness": 0.35, "pitch": -0.5}
    assert b.request.manner == {"speed": 1.12, "pause": 0.2, "liveliness": 0.8, "pitch": 2.0}
    assert a.request.seed == b.request.seed
    page.locator(".compare article[data-loaded]").nth(1).wait_for()

    # The label stands before the sound, which nobody started, and describes it.
    first = page.locator(f'[data-output="{a.id}"]')
    sound = first.locator("audio")
    label = page.locator(f"#{sound.get_attribute('aria-describedby')}")
    assert "made by artificial intelligence in the voice “Reading voice”" in label.inner_text()
    assert label.evaluate("(one, audio) => !!(one.compareDocumentPosition(audio) & 4)", sound.element_handle())
    assert sound.evaluate("one => one.paused && !one.autoplay")

    # With the keyboard alone: to the middle of the speech, played, and on in the other version at the same place.
    wave = first.get_by_role("slider", name="Position in the recording")
    wave.press("End")
    for _ in range(2):
        wave.press("ArrowLeft")
    assert wave.get_attribute("aria-valuetext") == f"{a.seconds - 2:.1f} of {a.seconds:.1f} seconds"
    other = page.locator(f'[data-output="{b.id}"] audio')
    assert page.locator(f'[data-output="{b.id}"] .wave').get_attribute("aria-valuenow") == f"{b.seconds - 2:.1f}"
    # Both are drawn, and both have moved: to the same place of the speech.
    for one in (a, b):
        view = page.locator(f'[data-output="{one.id}"] .outline-view')
        assert view.locator(".canvases canvas").first.evaluate(DRAWN)
        assert view.locator(".cursor").evaluate("one => one.style.backgroundColor") == "rgb(27, 36, 48)"  # --ink
        place = view.locator(".cursor").evaluate("one => parseFloat(one.style.left)")
        assert place == pytest.approx(100 * (one.seconds - 2) / one.seconds, abs=1.5)
    wave.press("k")
    until(lambda: not sound.evaluate("one => one.paused"))
    wave.press("x")
    until(lambda: not other.evaluate("one => one.paused"))
    assert sound.evaluate("one => one.paused")
    assert other.evaluate("one => one.currentTime") >= b.seconds - 2.1
    assert "B" in page.locator(".half.now h3").inner_text()
    first.get_by_label("Volume").fill("0.4")
    assert sound.evaluate("one => one.volume") == 0.4
    accessible(page, "compare")

    # Another format: the same text, settings and seed as another file, downloaded when it is there.
    first.get_by_text("Other formats").click()
    with page.expect_download() as download:
        first.get_by_role("button", name="FLAC").click()
        (again,) = spoken(1)
    assert download.value.suggested_filename == f"vouch-{again.id}.flac"
    assert (again.request.seed, again.request.manner, again.request.container) == (
        a.request.seed,
        a.request.manner,
        "flac",
    )

    # Came back later: found by its words in this browser, its settings used again.
    page.get_by_role("link", name="My recordings").click()
    page.get_by_label("Words, or the name").fill("lovely morning")
    page.get_by_role("button", name="Search").click()
    page.get_by_text("Found: 3").wait_for()
    assert "ids=" in page.url
    assert page.locator("[data-take]").count() == 3
    assert page.locator("[data-said]").first.inner_text() == make.TEXT
    page.locator("[data-take]").nth(1).get_by_role("link", name="Use its settings").click()
    until(lambda: page.locator("#seed").input_value() == str(b.request.seed))
    assert page.locator("#pitch").input_value() == "2"
    assert page.locator("#text").input_value() == make.TEXT

    # Withdrawn since: it is not played, and it says why.
    services.destroy_voices_for_consent(consent_id=voice.consent_id, actor=SYSTEM)
    page.goto("/recordings")
    page.get_by_text("Withdrawn from use").first.wait_for()
    assert page.get_by_role("button", name="Listen").count() == 0
    page.get_by_role("button", name="Forget them").click()
    page.get_by_text("Forgotten on this computer.").wait_for()
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('vouch-texts'))") == []


def test_how_one_knows_the_file_is_traced_and_its_receipt_holds_offline(page, sign_in, person):
    owner = person()
    sign_in(owner).goto(f"/voices/{own_voice(owner).id}")
    page.get_by_label("What shall it say?").fill(make.TEXT)
    page.get_by_role("button", name="Speak", exact=True).click()
    (made,) = spoken(1)
    take = page.locator(f'[data-output="{made.id}"][data-loaded]')
    take.get_by_text("How do I know?").click()
    assert f"entry {made.leaf_index} of the public log" in take.inner_text()
    assert made.sha256 in take.inner_text()
    accessible(page, "how do I know")
    take.get_by_role("button", name="Trace this recording").click()
    tracing.search(until(lambda: TraceJob.objects.filter(state="queued").first()).id)
    take.get_by_text("Found: the mark in this file leads to this very recording.").wait_for()
    with page.expect_download() as download:
        take.get_by_role("link", name="Receipt").click()
    leaf = verify_receipt(json.loads(Path(download.value.path()).read_bytes()), keys.public_key("log"))
    assert (leaf.index, leaf.subject) == (made.leaf_index, f"output:{made.id}")


def test_a_mood_is_heard_before_it_is_chosen_once_made_and_then_found_again(page, sign_in, person):
    owner = person()
    voice = own_voice(owner)
    sign_in(owner).goto(f"/voices/{voice.id}")
    page.get_by_text("Lazy", exact=True).click()
    page.get_by_role("button", name="Hear this mood").click()
    (made,) = spoken(1)
    assert made.request.manner == PRESETS["lazy"]
    assert made.request.text_digest == texts.digest(manners.SAMPLES["en"])
    sound = page.locator(f'#heard [data-output="{made.id}"] audio')
    until(lambda: sound.evaluate("one => !one.paused"))
    label = page.locator(f"#{sound.get_attribute('aria-describedby')}")
    assert "made by artificial intelligence in the voice “Reading voice”" in label.inner_text()
    assert label.evaluate("(one, audio) => !!(one.compareDocumentPosition(audio) & 4)", sound.element_handle())
    accessible(page, "a mood that is heard")

    page.reload()
    page.get_by_text("Lazy", exact=True).click()
    page.get_by_role("button", name="Hear this mood").click()
    until(lambda: sound.evaluate("one => !one.paused"))
    assert SpeechRequest.objects.count() == 1
    # What was set by hand is no mood.
    page.get_by_label("Pitch").press("ArrowRight")
    assert page.get_by_role("button", name="Hear this mood").is_disabled()

    # Withdrawn since: nothing of it is heard again.
    services.destroy_voices_for_consent(consent_id=voice.consent_id, actor=SYSTEM)
    page.reload()
    assert page.get_by_role("button", name="Hear this mood").is_disabled()
    assert page.locator('[name="mood"]:not([data-sample=""])').count() == 0


def test_a_lost_answer_speaks_once_and_a_reload_keeps_what_was_set(page, sign_in, person):
    page.add_init_script(LOSSY)
    owner = person()
    sign_in(owner).goto(f"/voices/{own_voice(owner).id}")
    page.get_by_label("What shall it say?").fill("It goes on.")
    page.get_by_label("Format").select_option("mp3")
    page.get_by_label("Seed (optional)").fill("41")
    page.get_by_text("Lazy", exact=True).click()
    page.get_by_label("Compare two versions").check()
    page.get_by_role("button", name="Version B").click()
    page.get_by_label("Pitch").press("ArrowRight")
    shown = (
        "() => ['text', 'container', 'seed', 'speed', 'pitch', 'pause'].map((id) => document.getElementById(id).value)"
    )
    b = page.evaluate(shown)
    page.reload()
    assert page.evaluate(shown) == b
    assert page.get_by_role("button", name="Version B").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Version A").click()
    a = page.evaluate(shown)
    assert [one == other for one, other in zip(a, b, strict=True)] == [True, True, True, True, False, True]
    page.get_by_label("Compare two versions").uncheck()
    page.get_by_text("Lazy", exact=True).click()
    page.get_by_label("How much of it").press("End")
    page.reload()
    assert page.get_by_label("Lazy").is_checked()
    assert page.get_by_label("How much of it").input_value() == "100"

    page.get_by_role("button", name="Speak", exact=True).click()
    page.get_by_role("alert").filter(has_text="It goes on by itself as soon as the connection is back.").wait_for()
    spoken(1)
    page.locator("article[data-loaded]").wait_for()
    assert page.evaluate("lost.has('POST speech')")
    assert SpeechRequest.objects.count() == 1, "asked for again under one key, it is one recording"
    assert page.get_by_role("alert").filter(has_text="unreachable").count() == 0


def test_a_book_is_cut_with_a_word_and_work_under_way_survives_a_reload(page, sign_in, person):
    owner = person()
    voice = own_voice(owner)
    sign_in(owner).goto(f"/voices/{voice.id}")
    text = page.get_by_label("What shall it say?")
    # 50 MB on the clipboard, right to left and with emoji.
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.setData("text", "שלום 👋🏽 ".repeat(5_000_000));
          const paste = new ClipboardEvent("paste", { clipboardData: data, cancelable: true });
          document.getElementById("text").dispatchEvent(paste);
        }"""
    )
    assert "Only the first 10000 characters fit" in page.locator("#too-long").inner_text()
    kept = text.input_value()
    assert len(kept.encode("utf-16-le")) // 2 <= 10_000
    assert kept.startswith("שלום 👋🏽")
    assert text.evaluate("one => getComputedStyle(one).direction") == "rtl"

    text.fill("It goes on.")
    page.get_by_role("button", name="Speak").click()
    request = until(lambda: SpeechRequest.objects.first())
    page.reload()
    assert text.input_value() == "It goes on."
    finished(request)
    page.locator("article[data-loaded]").wait_for()
    assert SpeechRequest.objects.count() == 1

    # My data: a key is shown once and revoked, and the account ends only by its own address.
    page.get_by_role("link", name="My data").click()
    page.get_by_text("Make a key").click()
    page.get_by_label("What is it for?").fill("my program")
    page.get_by_label("Speak in voices I may use").check()
    page.get_by_role("button", name="Make the key").click()
    page.locator("#made-key").wait_for()
    key = ApiKey.objects.get(name="my program")
    assert page.locator("#made-key-text").inner_text().startswith("vk_")
    assert key.scopes == ["speak"]
    page.reload()
    page.get_by_role("button", name="Revoke the key “my program”").click()
    until(lambda: ApiKey.objects.get(name="my program").revoked_at)
    page.get_by_text("None: no program acts for you.").wait_for()
    assert page.evaluate(KEPT) == 0  # and there is a place for readings now
    page.evaluate(KEEP, str(owner.pk))
    page.get_by_role("button", name="Close my account").click()
    go = page.get_by_role("button", name="Close it for good")
    assert go.is_disabled()
    page.get_by_label("To confirm").fill(owner.email)
    go.click()
    page.get_by_role("link", name="Create an account").wait_for()
    owner.refresh_from_db()
    assert owner.email.endswith("erased.invalid")
    assert page.evaluate("localStorage.length + sessionStorage.length") == page.evaluate(KEPT) == 0
