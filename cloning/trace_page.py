"""The detection report as a page to print. It says what the signed JSON says; where they differ, the JSON counts."""

import hashlib
from typing import Any, Final

from consent import pdf
from foundation.audit import canonical

LANGUAGES: Final = ("en", "zh")
_LEFT, _VALUES, _RIGHT = 50.0, 190.0, 545.0
SHOWN: Final = 3
"""Matches on the page; the JSON holds all."""

_WORDS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "title": "Watermark detection report",
        "rehearsal": "REHEARSAL: made by a synthetic speaker; worth nothing outside a rehearsal.",
        "ours": "This recording holds the watermark of a recording made here.",
        "unknown_mark": "This recording holds a watermark of ours that belongs to nothing we delivered.",
        "transplanted": "This recording holds a watermark of ours laid on other sound: it was not made here.",
        "not_found": "No watermark of ours was found.",
        "inconclusive": "Too little usable sound to say whether a watermark of ours is there.",
        "verdict": "Result",
        "recording": "Recording (SHA-256)",
        "about": "Length and form",
        "searched": "Searched at",
        "method": "Method",
        "code": "Detector (SHA-256)",
        "weights": "Weights (SHA-256)",
        "among": "Payloads searched",
        "labels": "Labels heard or read",
        "match": "Match {n}",
        "place": "{start:.1f} to {end:.1f} s, score {score:.2f}; chance of a wrong answer at most {bound:.1e}",
        "made": "made {made}, for {use}; recording {output}, consent {consent}, licence {licence}",
        "more": "{n} more matches stand in the JSON report.",
        "error": "Measured error",
        "unmeasured": "Not measured for recordings of this length and form: only the bound counts.",
        "measured": "In the bench, of {recordings} recordings of {seconds:g} s coded like this one ({kind}) the mark "
        "was missed in {missed} (rate at most {missed_at_most:.1%}, one-sided 95 %) and named wrongly in "
        "{named_wrongly}. What befell the sound before it came into this file cannot be seen.",
        "limits": "What this does not say",
        "as_of": "Stated at",
        "issuer": "Issued by",
        "key": "Key",
        "signature": "Signature (Ed25519)",
        "digest": "Statement (SHA-256)",
        "check": "The JSON report verifies offline: vouch verify-report FILE --public-key KEY",
    },
    "zh": {
        "title": "水印检测报告",
        "rehearsal": "演练：说话人为合成声音，在演练之外没有任何效力。",
        "ours": "该录音带有本平台所生成录音的水印。",
        "unknown_mark": "该录音带有本平台的水印，但不属于任何已交付的录音。",
        "transplanted": "该录音上被移植了本平台的水印，其声音并非本平台生成。",
        "not_found": "未发现本平台的水印。",
        "inconclusive": "可用声音太少，无法判断是否带有本平台的水印。",
        "verdict": "结果",
        "recording": "录音 (SHA-256)",
        "about": "时长与格式",
        "searched": "检测时间",
        "method": "方法",
        "code": "检测器 (SHA-256)",
        "weights": "权重 (SHA-256)",
        "among": "检索的载荷数",
        "labels": "听到或读到的标识",
        "match": "匹配 {n}",
        "place": "{start:.1f} 至 {end:.1f} 秒，得分 {score:.2f}；误判概率不超过 {bound:.1e}",
        "made": "生成于 {made}，用途 {use}；录音 {output}，同意 {consent}，许可 {licence}",
        "more": "另有 {n} 个匹配见 JSON 报告。",
        "error": "实测误差",
        "unmeasured": "未测量过这种时长和格式的录音：仅以误差上界为准。",
        "measured": "基准测试中，{recordings} 段 {seconds:g} 秒、同类编码（{kind}）的录音里，漏检 {missed} 段（"
        "漏检率至多 {missed_at_most:.1%}，单侧 95%），误判 {named_wrongly} 段。声音存入本文件之前的经历无从得知。",
        "limits": "本报告不说明的事项",
        "as_of": "出具时间",
        "issuer": "出具方",
        "key": "公钥",
        "signature": "签名 (Ed25519)",
        "digest": "声明 (SHA-256)",
        "check": "JSON 报告可离线核验：vouch verify-report FILE --public-key KEY",
    },
}


def page(report: dict[str, Any], language: str = "en") -> bytes:
    """One page of PDF of a report that was just signed; the same report gives the same bytes."""
    words, statement = _WORDS[language], report["statement"]
    sheet = pdf.Page(title=words["title"], language=language)
    sheet.text(_LEFT, 66, words["title"], size=18, font=pdf.BOLD)
    y = 92.0
    if statement["rehearsal"]:
        sheet.text(_LEFT, y, words["rehearsal"], size=9.5, font=pdf.BOLD)
        y += 16
    sheet.rule(y, _LEFT, _RIGHT)
    y += 16
    for label, value, font in _rows(report, words):
        sheet.text(_LEFT, y, label, size=8.5, font=pdf.BOLD)
        for line in pdf.wrap(value, 8.5, _RIGHT - _VALUES, font) or [""]:
            sheet.text(_VALUES, y, line, size=8.5, font=font)
            y += 11.5
        y += 3
    sheet.rule(y, _LEFT, _RIGHT)
    sheet.text(_LEFT, y + 14, words["check"], size=8.5)
    return sheet.bytes()


def _rows(report: dict[str, Any], words: dict[str, str]) -> list[tuple[str, str, str]]:
    statement = report["statement"]
    recording, method, labels = statement["recording"], statement["method"], statement["labels"]
    digest = hashlib.sha256(canonical.encode(statement)).hexdigest()
    error = statement["measured_error"]
    rows = [
        (words["verdict"], words[statement["verdict"]], pdf.BOLD),
        (words["recording"], str(recording["sha256"]), pdf.MONO),
        (words["about"], f"{recording['seconds']} s, {recording['form']}, {recording['kbit_s']} kbit/s", pdf.PLAIN),
        (words["searched"], statement["searched_at"], pdf.PLAIN),
        (words["method"], f"{method.get('name')} ({method.get('release')})", pdf.PLAIN),
        (words["code"], str(method.get("code_sha256")), pdf.MONO),
        (words["weights"], str(method.get("weights_sha256")), pdf.MONO),
        (words["among"], str(method.get("payloads_searched")), pdf.PLAIN),
        (words["labels"], f"audible: {labels['audible']}; metadata: {labels['metadata']}", pdf.PLAIN),
    ]
    for number, hit in enumerate(statement["matches"][:SHOWN], start=1):
        place = words["place"].format(
            start=hit["start_s"], end=hit["end_s"], score=hit["score"], bound=hit["false_positive_bound"]
        )
        rows += [
            (words["match"].format(n=number), hit["output"] or hit["output_state"], pdf.MONO),
            ("", place, pdf.PLAIN),
        ]
        if "made_at" in hit:
            made = words["made"].format(
                made=hit["made_at"], use=hit["use"], output=hit["output_state"], consent=hit["consent_state"],
                licence=hit["licence_state"] or "-",
            )  # fmt: skip
            rows.append(("", made, pdf.PLAIN))
    if (rest := len(statement["matches"]) - SHOWN) > 0:
        rows.append(("", words["more"].format(n=rest), pdf.PLAIN))
    return [
        *rows,
        (words["error"], _error(error, words), pdf.PLAIN),
        *((words["limits"] if not i else "", text, pdf.PLAIN) for i, text in enumerate(statement["limits"])),
        (words["issuer"], statement["issuer"], pdf.PLAIN),
        (words["as_of"], statement["as_of"], pdf.PLAIN),
        (words["digest"], digest, pdf.MONO),
        (words["key"], report["public_key"], pdf.MONO),
        (words["signature"], report["signature"], pdf.MONO),
    ]


def _error(error: dict[str, Any], words: dict[str, str]) -> str:
    return words["measured"].format(**error) if error["state"] == "measured" else words["unmeasured"]
