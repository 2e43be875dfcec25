"""What a text is about, as far as an owner's conditions ask: five sensitive topics, in English and Chinese. Pure.

A topic is recognised by its usual words (`safety.detectors` folds spelling tricks away). That finds ordinary texts and
errs on the side of asking: a word is enough. It is no judgement on the text, which is the policy's.
"""

from functools import lru_cache
from typing import Final

from safety.detectors.normalise import normalise
from safety.detectors.patterns import Pattern

WORDS: Final[dict[str, tuple[str, ...]]] = {
    "money": (
        "bank account", "wire transfer", "transfer the money", "send money", "pay now", "invest", "investment",
        "investors", "loan", "credit card", "mortgage", "cryptocurrency", "bitcoin", "guaranteed return", "stock price",
        "shares", "银行账户", "转账", "汇款", "投资", "贷款", "信用卡", "股票", "理财", "比特币", "收益率",
    ),
    "politics": (
        "vote for", "vote against", "election", "elect", "ballot", "candidate", "president", "prime minister",
        "parliament", "senator", "congress", "political party", "referendum", "campaign rally", "选举", "投票", "总统",
        "总理", "议会", "候选人", "政党", "公投", "竞选",
    ),
    "medical": (
        "diagnosis", "dosage", "prescription", "side effects", "symptoms", "vaccine", "vaccination", "cancer",
        "medication", "surgery", "treatment for", "clinical trial", "诊断", "剂量", "处方", "副作用", "症状", "疫苗",
        "癌症", "药物", "手术", "疗法",
    ),
    "legal": (
        "lawsuit", "plaintiff", "defendant", "testify", "testimony", "under oath", "court", "attorney", "lawyer",
        "legal advice", "verdict", "liable", "诉讼", "原告", "被告", "作证", "宣誓", "法院", "律师", "法律意见", "判决",
    ),
    "contracts": (
        "i hereby agree", "hereby", "terms and conditions", "contract", "agreement between", "sign the", "signature",
        "binding", "warranty", "power of attorney", "合同", "协议", "条款", "签字", "签署", "担保", "授权书", "特此",
    ),
}  # fmt: skip


@lru_cache(maxsize=1)
def _patterns() -> dict[str, Pattern]:
    return {topic: Pattern.of([words], within=None) for topic, words in WORDS.items()}


def topics(text: str) -> frozenset[str]:
    """The topics (`consent.scopes.TOPICS`) whose words the text holds."""
    streams = normalise(text)
    return frozenset(topic for topic, pattern in _patterns().items() if pattern.matches(streams))
