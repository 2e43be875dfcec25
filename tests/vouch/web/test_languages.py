"""The console in Chinese: complete, compiled from what is written, and chosen by browser or button."""

import ast
import gettext
import re
from pathlib import Path

import pytest
from django.test import Client
from django.utils.translation.template import templatize

import vouch.web

WEB = Path(vouch.web.__file__).parent
LOCALE = WEB / "locale/zh_Hans/LC_MESSAGES"


def compiled(domain: str) -> dict[str, str]:
    with (LOCALE / f"{domain}.mo").open("rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {key[0] if isinstance(key, tuple) else key: text for key, text in catalogue.items() if key}


def written(domain: str) -> dict[str, str]:
    pairs = re.findall(
        r'^msgid "(.+)"\n(?:msgid_plural ".*"\n)?msgstr(?:\[0\])? "(.*)"$', (LOCALE / f"{domain}.po").read_text(), re.M
    )
    return {key.replace('\\"', '"'): text.replace('\\"', '"') for key, text in pairs}


@pytest.mark.parametrize("domain", ["django", "djangojs"])
def test_the_compiled_words_are_the_written_ones_and_none_is_missing(domain):
    assert compiled(domain) == written(domain)
    assert all(written(domain).values())


@pytest.mark.parametrize("domain", ["django", "djangojs"])
def test_a_translation_fills_in_the_same_values(domain):
    for key, text in compiled(domain).items():
        assert set(re.findall(r"%\(\w+\)s", key)) == set(re.findall(r"%\(\w+\)s", text)), key


def test_every_word_of_the_pages_is_translated():
    known = compiled("django")
    used = set()
    for path in [*WEB.rglob("*.html"), *WEB.rglob("*.py")]:
        used |= set(re.findall(r"""{% trans "([^"]+)" %}|{% trans '([^']+)' %}|\b_\("([^"]+)"\)""", path.read_text()))
    words = {"".join(found) for found in used}
    assert len(words) > 150
    assert words - set(known) == set()


def test_every_sentence_with_a_value_in_it_is_translated():
    """``blocktrans``, as Django's own extraction sees it, plurals included."""
    known, used = set(compiled("django")), set()
    literal = r"""(u?'(?:[^'\\]|\\.)*'|u?"(?:[^"\\]|\\.)*")"""
    for path in WEB.rglob("*.html"):
        for found in re.findall(rf"\bn?gettext\({literal}", templatize(path.read_text())):
            used.add(ast.literal_eval(found))
    assert len(used) > 200
    assert used - known == set()


def test_every_word_of_the_modules_is_translated():
    known = compiled("djangojs")
    words = set()
    for path in (WEB / "static/web").glob("*.js"):
        words |= set(re.findall(r'gettext\(\s*"([^"]+)"', path.read_text()))
    assert len(words) > 60
    assert words - set(known) == set()


@pytest.mark.django_db
def test_the_browsers_language_is_spoken_and_said():
    body = Client(headers={"Accept-Language": "zh-CN,zh;q=0.9"}).get("/").content.decode()
    assert '<html lang="zh-hans">' in body
    assert "只有在能够证明声音主人已经同意时" in body
    assert "Sign in" not in body


@pytest.mark.django_db
def test_the_button_switches_the_language_for_every_page_and_module():
    client = Client()
    assert client.post("/language", {"language": "zh-hans", "next": "/trace"})["Location"] == "/trace"
    assert "这段录音是这里制作的吗" in client.get("/trace").content.decode()
    assert "\\u6ca1\\u6709\\u6211\\u4eec\\u7684\\u6c34\\u5370" in client.get("/strings.js").content.decode()
    assert client.post("/language", {"language": "en", "next": "https://evil.example/"})["Location"] == "/"
