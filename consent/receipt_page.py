"""The receipt as a page to print: what was agreed in words, how to check it, and the QR code. Pure.

The page says what the JSON receipt says and proves as much as its code does; where they differ, the JSON counts.
"""

import io
from collections.abc import Mapping
from typing import Any, Final

import segno

from consent import compact, pdf
from consent.uses import USES

LANGUAGES: Final = ("en", "zh")
_LEFT, _VALUES, _RIGHT = 50.0, 170.0, 545.0
_QR: Final = 150.0
"""Points of the code with its quiet zone: 5.3 cm."""
_QUIET: Final = 4
"""Modules of quiet zone on each side (ISO/IEC 18004)."""

_WORDS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "title": "Consent receipt",
        "rehearsal": "REHEARSAL: a synthetic speaker; worth nothing outside a rehearsal.",
        "id": "Consent",
        "person": "Given by",
        "speaker": "Speaker",
        "basis": "Known by",
        "self": "a live challenge answered in person",
        "representative": "a live challenge, and a representative whose documents two moderators approved",
        "without_biometrics": "documents that two moderators approved; no comparison of voices",
        "given": "Given at",
        "until": "Valid until",
        "allowed": "Allowed",
        "refused": "Not allowed",
        "languages": "Languages",
        "territory": "Territory",
        "worldwide": "worldwide",
        "text": "Text agreed to",
        "release": "Voice template",
        "released": "released separately: {version}",
        "unreleased": "none is kept",
        "former": "Renews",
        "version": "version {version} of this consent",
        "digest": "SHA-256",
        "entry": "Entry in the log",
        "key": "The log's key",
        "check": "How to check it without asking anybody: scan the code into a file, or take the JSON receipt, and run",
        "compare": "Compare the log's key with the one the platform publishes. The code proves that the platform "
        "signed these terms; the JSON receipt also proves their entry in the log.",
        "withdraw": "You may withdraw at any time, without giving a reason, with one click on the page \u201cMy "
        "consents\u201d. This page does not show whether that has happened: the platform answers that.",
        "own_use": "my own use",
        "licence_to_others": "licence to others",
        "cross_lingual": "languages not recorded",
        "advertising": "advertising",
        "political": "political speech",
        "adult": "adult content",
        "singing": "singing",
        "voice_mask": "live voice mask",
    },
    "zh": {
        "title": "同意回执",
        "rehearsal": "演练：说话人为合成声音，在演练之外没有任何效力。",
        "id": "同意编号",
        "person": "作出人",
        "speaker": "说话人",
        "basis": "确认方式",
        "self": "本人现场回答口令",
        "representative": "现场口令，以及经两名审核人员批准其文件的代表人",
        "without_biometrics": "经两名审核人员批准的文件；未进行声音比对",
        "given": "作出时间",
        "until": "有效期至",
        "allowed": "允许的用途",
        "refused": "不允许的用途",
        "languages": "语言",
        "territory": "地域",
        "worldwide": "全球",
        "text": "所同意的文本",
        "release": "声纹模板",
        "released": "已单独同意：{version}",
        "unreleased": "不予保存",
        "former": "续期自",
        "version": "本同意的第 {version} 版",
        "digest": "SHA-256",
        "entry": "日志条目",
        "key": "日志公钥",
        "check": "如何自行核验：将二维码内容存入文件，或使用 JSON 回执，然后运行",
        "compare": "请将日志公钥与平台公布的公钥比对。二维码证明平台签署了上述条款；JSON 回执还证明其已记入日志。",
        "withdraw": "您可以随时在“我的同意”页面一键撤回，无须说明理由。本页不显示是否已经撤回，请向平台查询。",
        "own_use": "本人使用",
        "licence_to_others": "许可他人使用",
        "cross_lingual": "未录制的语言",
        "advertising": "广告",
        "political": "政治言论",
        "adult": "成人内容",
        "singing": "歌唱",
        "voice_mask": "实时变声",
    },
}


def render(statement: Mapping[str, Any], code: str, key: str, leaf_index: int, language: str) -> bytes:
    """The page as PDF, in ``en`` or ``zh``. ``code``: the compact receipt, ``key``: the log's public key in groups."""
    words = _WORDS[language]
    page = pdf.Page(title=f"{words['title']} {statement['id']}", language={"en": "en", "zh": "zh-Hans"}[language])
    page.text(_LEFT, 70, words["title"], size=20, font=pdf.BOLD)
    page.text(_LEFT, 88, "Vouch", size=10)
    draw_code(page, code, _RIGHT - _QR, 40, _QR)
    y = 112.0
    if statement["rehearsal"]:
        y = _paragraph(page, y, words["rehearsal"], right=_RIGHT - _QR - 10, font=pdf.BOLD)
    y = max(y, 40 + _QR + 12)
    page.rule(y, _LEFT, _RIGHT)
    y += 18
    for label, value, font in _rows(statement, leaf_index, words, key):
        page.text(_LEFT, y, label, size=9, font=pdf.BOLD)
        for line in pdf.wrap(value, 9.5, _RIGHT - _VALUES, font) or [""]:
            page.text(_VALUES, y, line, size=9.5, font=font)
            y += 13
        y += 4
    page.rule(y, _LEFT, _RIGHT)
    y = _paragraph(page, y + 18, words["check"])
    page.text(_LEFT + 10, y, "vouch verify-receipt FILE --public-key KEY", size=9, font=pdf.MONO)
    y = _paragraph(page, y + 18, words["compare"])
    _paragraph(page, y + 4, words["withdraw"])
    return page.bytes()


def draw_code(page: pdf.Page, code: str, x: float, y: float, size: float) -> None:
    """The QR code with its quiet zone in a square of ``size`` points; runs of dark modules are one rectangle each."""
    rows = matrix(code)
    module = size / (len(rows) + 2 * _QUIET)
    for row, line in enumerate(rows):
        start = None
        for column, dark in enumerate([*line, 0]):
            if dark and start is None:
                start = column
            elif not dark and start is not None:
                left, top = x + (_QUIET + start) * module, y + (_QUIET + row) * module
                page.square(left, top, (column - start) * module, module)
                start = None


def matrix(code: str) -> list[list[int]]:
    """The modules of the QR code: 1 is dark. Error correction M (15 %): enough for a folded page."""
    return [[int(bool(module)) for module in row] for row in segno.make_qr(code, error="m", boost_error=False).matrix]


def svg(code: str) -> bytes:
    """The QR code as an image: SVG, black on white in every colour scheme, no script, no outside reference."""
    out = io.BytesIO()
    segno.make_qr(code, error="m", boost_error=False).save(out, kind="svg", scale=4, border=_QUIET, light="white")
    return out.getvalue()


def _rows(
    statement: Mapping[str, Any], leaf_index: int, words: Mapping[str, str], key: str
) -> list[tuple[str, str, str]]:
    uses = statement["uses"]
    basis = statement.get("basis", {"kind": compact.SELF})["kind"]
    release = statement["biometric_release"]
    speaker = statement.get("speaker", statement["person"]["name"])
    apart = ", " if words is _WORDS["en"] else "、"
    rows = [
        (words["id"], statement["id"], pdf.MONO),
        (words["person"], statement["person"]["name"], pdf.PLAIN),
        *([(words["speaker"], speaker, pdf.PLAIN)] if speaker != statement["person"]["name"] else []),
        (words["basis"], words[basis], pdf.PLAIN),
        (words["given"], _time(statement["given_at"]), pdf.PLAIN),
        (words["until"], _time(statement["valid_until"]), pdf.PLAIN),
        (words["allowed"], apart.join(words[use] for use in USES if uses.get(use)), pdf.PLAIN),
        (words["refused"], apart.join(words[use] for use in USES if not uses.get(use)) or "-", pdf.PLAIN),
        (words["languages"], apart.join(statement["languages"]), pdf.PLAIN),
        (words["territory"], words.get(statement["territory"], statement["territory"]), pdf.PLAIN),
        (words["text"], statement["text"]["version"], pdf.PLAIN),
        (
            words["release"],
            words["released"].format(version=release["version"]) if release else words["unreleased"],
            pdf.PLAIN,
        ),
    ]
    if statement.get("former"):
        renewed = f"{statement['former']['id']} ({words['version'].format(version=statement['version'])})"
        rows.append((words["former"], renewed, pdf.PLAIN))
    return [
        *rows,
        (words["digest"], compact.statement_digest(statement), pdf.MONO),
        (words["entry"], str(leaf_index), pdf.MONO),
        (words["key"], key, pdf.MONO),
    ]


def _paragraph(page: pdf.Page, y: float, text: str, *, right: float = _RIGHT, font: str = pdf.PLAIN) -> float:
    for line in pdf.wrap(text, 9.5, right - _LEFT, font):
        page.text(_LEFT, y, line, size=9.5, font=font)
        y += 13
    return y


def _time(moment: str) -> str:
    return moment[:19].replace("T", " ") + " UTC"
