"""In a real browser: a table is looked at, spoken, a line tried again, and everything taken home; and who may not."""

import io
import zipfile
from pathlib import Path

import pytest

from cloning import jobs
from cloning.batches import advancing
from cloning.batches.models import Batch, Line
from cloning.models import SpeechRequest
from cloning.states import JobState
from cloning.worker import claim
from foundation.errors import VouchError
from tests.cloning import factories as make
from tests.vouch.web.test_browser import accessible, finished, own_voice, until

pytestmark = [pytest.mark.browser, pytest.mark.enable_socket, pytest.mark.django_db(transaction=True)]
PASTED = """one => {
  const data = new DataTransfer();
  data.setData("text", "Good morning. ".repeat(3_600_000));
  one.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, cancelable: true }));
}"""
SRT = "1\n00:00:01,000 --> 00:00:02,000\nGood morning.\n\n2\n00:00:05,000 --> 00:00:03,000\nBackwards.\n"


def test_many_lines_from_the_table_to_the_archive(page, sign_in, person):
    owner = person()
    voice = own_voice(owner)
    masked = make.voice(owner, make.consent(owner, uses={"own_use": True, "voice_mask": True}), name="Masked")
    sign_in(owner).goto(f"/voices/{voice.id}")
    page.get_by_role("link", name="Speak many lines at once").click()
    speak = page.get_by_role("button", name="Speak all lines")
    assert speak.is_disabled()

    # A file is sent as the bytes it has, and its ending says what it is.
    page.get_by_label("Take it from a file").set_input_files(
        {"name": "film.srt", "mimeType": "text/plain", "buffer": SRT.encode("utf-16")}
    )
    page.get_by_role("button", name="Look at the table").click()
    page.get_by_role("alert").filter(has_text="utf16_refused").wait_for()
    page.get_by_label("Take it from a file").set_input_files(
        {"name": "film.srt", "mimeType": "text/plain", "buffer": SRT.encode()}
    )
    page.get_by_role("button", name="Look at the table").click()
    page.get_by_text("1 of 2 lines can be spoken, 13 characters.").wait_for()
    assert "time_backwards" in page.locator("#rows").inner_text()
    page.get_by_label("Take it from a file").set_input_files([])

    # Fifty megabytes are not even pasted, and what is a little too large is not sent.
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if one.url.endswith("preview") else None)
    page.locator("#content").evaluate(PASTED)
    too_large = page.get_by_role("alert").filter(has_text="table_too_large")
    too_large.wait_for()
    assert page.locator("#content").input_value() == ""
    page.reload()
    page.locator("#content").evaluate("one => { one.value = 'a'.repeat(Number(one.form.dataset.max) + 1); }")
    page.get_by_role("button", name="Look at the table").click()
    too_large.wait_for()
    assert sent == []
    # Right to left and with emoji, a line is a line.
    page.get_by_label("Or paste it here").fill("שלום לכולם\nGood morning 👋🏽 to you.\n")
    page.get_by_label("What is it?").select_option("text")
    page.get_by_role("button", name="Look at the table").click()
    page.locator("#rows td[dir=auto]").nth(1).wait_for()
    assert page.locator("#rows td[dir=auto]").first.evaluate("one => getComputedStyle(one).direction") == "rtl"
    assert page.locator("#rows td[dir=auto]").nth(1).inner_text() == "Good morning 👋🏽 to you."

    page.get_by_label("What is it?").select_option("csv")
    page.get_by_label("Or paste it here").fill("text,file\nGood morning to you.,one\n???,two\nGood night.,three\n")
    page.get_by_label("A file a line").check()
    assert speak.is_disabled()
    page.get_by_role("button", name="Look at the table").click()
    page.get_by_text("2 of 3 lines can be spoken").wait_for()
    speak.click()
    batch = until(lambda: Batch.objects.first())
    advancing.advance(batch.id)
    page.get_by_text("With the workers: 2, Refused: 1").wait_for()
    first, second = SpeechRequest.objects.order_by("batch_lines__number")
    run = claim(first.job_id)
    jobs.end_run(job_id=run.job_id, run=run.token, to=JobState.FAILED, error=VouchError("No sound.", code="silence"))
    finished(second)
    advancing.advance(batch.id)
    page.get_by_role("button", name="Try line 1 again").click()
    until(lambda: Line.objects.get(number=1).state == "asked")
    page.reload()  # the address brings back the batch
    finished(first)
    advancing.advance(batch.id)
    page.get_by_text("Spoken: 2, Refused: 1").wait_for()
    assert page.get_by_role("button", name="Cancel").is_hidden()
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download everything (ZIP)").click()
    archive = zipfile.ZipFile(io.BytesIO(Path(taken.value.path()).read_bytes()))
    assert {"one.wav", "three.wav", "manifest.json", "manifest.csv"} <= set(archive.namelist())
    accessible(page, "a batch")

    # Through a mask: every line of the batch.
    mask = make.mask(masked)
    page.goto(f"/voices/{masked.id}/batch")
    page.get_by_label("Or paste it here").fill("Good morning to you.\nGood night.\n")
    page.get_by_label("Speak through a mask").select_option(mask.name)
    page.get_by_role("button", name="Look at the table").click()
    page.get_by_text("2 of 2 lines can be spoken").wait_for()
    page.get_by_role("button", name="Speak all lines").click()
    assert until(lambda: Batch.objects.filter(voice=masked).first()).mask_id == mask.id

    # Somebody else finds neither the page nor the batch.
    assert sign_in(person()).goto(f"/voices/{voice.id}/batch").status == 404
    assert page.goto(f"/api/v1/batches/{batch.id}").status == 404
    assert Batch.objects.get(voice=voice).state == "done"
