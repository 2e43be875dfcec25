"""What refusals say on a Chinese page: every code has its words, and nobody there reads English ones."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

import vouch.web
from cloning.batches import tables
from cloning.models import Job
from tests.cloning import factories as make
from vouch import problems
from vouch.web.told import in_chinese

CHINESE = re.compile(r"[\u4e00-\u9fff]")
NAMES = "JSON WebSocket UTF WAV FLAC Ogg MP3 M4A PDF PNG JPEG SHA YYYY MM DE https"
TYPED = "text file seed pause chapter"
"""What stands as it is: names, and what is typed."""


def test_every_code_has_its_words_in_chinese() -> None:
    known = problems.catalogue()
    assert len(known) > 250
    assert {one.code for one in known} - set(in_chinese()) == set()
    assert set(in_chinese()) - {one.code for one in known} == set(), "no such code any more"
    for code, said in in_chinese().items():
        assert 1 <= len(said) <= 2, code
        for sentence in said:
            assert CHINESE.search(sentence), code
            assert sentence.endswith("。"), code
            assert set(re.findall(r"[A-Za-z][A-Za-z0-9]+", sentence)) <= {*NAMES.split(), *TYPED.split()}, code


def test_what_the_server_tells_goes_through_the_table_on_every_page() -> None:
    """A module that shows ``error_detail`` or a problem's body by itself would show English on a Chinese page."""
    modules = [path.read_text() for path in (Path(vouch.web.__file__).parent / "static/web").glob("*.js")]
    shown = [
        line for text in modules for line in text.splitlines() if "error_detail" in line or "await answer.json" in line
    ]
    assert len(shown) > 8
    assert [line for line in shown if not re.search(r"told\(|Problem\.of\(|const data = await", line)] == []
    assert [text for text in modules if re.search(r"new Problem\(\w+\.status", text) and "static of" not in text] == []


@pytest.mark.django_db
def test_a_failed_training_says_why_in_the_pages_language(person: Any) -> None:
    owner = person()
    voice = make.voice(owner, make.consent(owner), name="Mine")
    type(voice).objects.filter(id=voice.id).update(state="failed")
    Job.objects.create(
        kind="train", voice=voice, requester=owner, state="failed", stage="semantic",
        error_code="too_little_speech", error_detail="The recordings together are too short to train a voice.",
    )  # fmt: skip
    client = Client()
    client.force_login(owner)
    english = client.get("/", headers={"Accept-Language": "en"}).content.decode()
    assert "too short to train a voice" in english
    assert "problems.zh" not in english
    chinese = client.get("/", headers={"Accept-Language": "zh-CN"}).content.decode()
    assert in_chinese()["too_little_speech"][0] in chinese
    assert "too short to train a voice" not in chinese
    assert "problems.zh" in chinese


@pytest.mark.browser
@pytest.mark.enable_socket
@pytest.mark.django_db(transaction=True)
def test_a_refusal_is_read_in_chinese_with_its_code(page: Any, live_server: Any, sign_in: Any, person: Any) -> None:
    owner = person()
    voice = make.voice(owner, make.consent(owner), name="Mine")
    page.context.add_cookies([{"name": "django_language", "value": "zh-hans", "url": live_server.url}])
    sign_in(owner).goto(f"/voices/{voice.id}")
    page.locator("#text").fill("... --- ...")
    page.locator("#go").click()
    problem = page.get_by_role("alert").filter(has_text="text_invalid")
    problem.wait_for()
    said = problem.inner_text()
    assert all(sentence in said for sentence in in_chinese()["text_invalid"])
    assert "Send the words" not in said
    page.goto(f"/voices/{voice.id}/batch")
    page.locator("#format").select_option("srt")
    page.locator("#content").fill(
        "1\n00:00:05,000 --> 00:00:03,000\nBackwards.\n\n2\n00:00:06,000 --> 00:00:07,000\n...\n"
    )
    page.locator("#check").click()
    page.locator("#rows code").nth(1).wait_for()
    assert page.locator("#rows code").all_inner_texts() == ["time_backwards", "text_invalid"]
    assert "结束早于开始" in page.locator("#rows tr").nth(0).inner_text()
    assert in_chinese()["text_invalid"][0] in page.locator("#rows tr").nth(1).inner_text()


def test_every_fault_of_a_line_has_its_words() -> None:
    codes = re.findall(r'Problem\(\s*"(\w+)"', Path(tables.__file__).read_text())
    module = (Path(vouch.web.__file__).parent / "static/web/batch.js").read_text()
    assert len(set(codes)) > 5
    assert set(codes) - set(re.findall(r"^  (\w+): gettext", module, re.M)) == set()
