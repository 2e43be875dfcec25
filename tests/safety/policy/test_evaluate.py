"""One function, one verdict."""

import json
import time

import pytest

from safety.errors import TextTooLong
from safety.policy import MAX_TEXT_CHARS, UNCOVERED_RULE, evaluate, live_pack
from safety.policy.card import CARD
from safety.policy.pack import OUTCOMES

HELD = "Grandma, I had an accident, please send the money today and do not tell anyone."
FINE = "The weather is lovely this morning and the train leaves at nine."


def test_an_ordinary_text_is_allowed_and_names_the_pack():
    verdict = evaluate(FINE, language="en")
    assert (verdict.outcome, verdict.rule, verdict.clause) == ("allow", "", "")
    assert (verdict.pack, verdict.pack_sha256) == ("core@3", live_pack().sha256)


def test_the_family_emergency_is_held_with_its_rule_and_clause():
    verdict = evaluate(HELD, language="en")
    assert (verdict.outcome, verdict.rule, verdict.clause) == (
        "hold",
        "family.emergency-money",
        "fraud.family-emergency",
    )


@pytest.mark.parametrize("language", ["en", "zh", "en-GB", "zh_CN"])
def test_the_language_label_opens_no_door(language):
    assert evaluate(HELD, language=language).outcome == "hold"
    assert evaluate("奶奶，我出了车祸，赶快给我转账。", language=language).outcome == "hold"


def test_the_worst_matching_rule_is_the_verdict():
    both = HELD + " And then an erotic story about a schoolgirl."
    assert evaluate(both, language="en").outcome == "refuse"
    assert evaluate(both, language="en").clause == "harm.minors"


@pytest.mark.parametrize(
    ("text", "language"), [("Guten Morgen zusammen.", "de"), ("おはようございます", "ja"), ("สวัสดีตอนเช้า", "en")]
)
def test_what_no_rule_can_read_is_held(text, language):
    verdict = evaluate(text, language=language)
    assert (verdict.outcome, verdict.rule) == ("hold", UNCOVERED_RULE)


def test_every_example_of_a_rule_gets_its_verdict_or_a_stronger_one():
    for rule in live_pack().rules:
        for sentence in rule.examples.match:
            found = evaluate(sentence, language="en", known=rule.examples.facts)
            assert OUTCOMES.index(found.outcome) >= OUTCOMES.index(rule.outcome), sentence


@pytest.mark.parametrize(
    "text",
    [
        "The bank of the river was quiet, and my mother read a letter about money and luck.",
        "Please send the report today; the meeting is at ten.",
        "Our grandmother had an accident with the cake, and everybody laughed.",
        "She works at the hospital as an officer of the guard.",
        "The detective closed his notebook and looked at the sea.",
        "今天天气很好，我们去公园散步，然后回家吃饭。",
        "老师给同学们讲了一个有趣的故事。",
        "我的爸爸是一名警察，他每天都很忙。",
        "请在下午三点之前把报告发到我的邮箱。",
        "I am the captain of this little boat, and the wind is my queen.",
    ],
)
def test_innocent_sentences_with_suspicious_words_are_allowed(text):
    language = "en" if text.isascii() else "zh"
    assert evaluate(text, language=language).outcome == "allow"


@pytest.mark.parametrize(
    "text",
    [
        "Your bank here. Please read me the code that we have just sent to your phone.",
        "Grandma, I had a crash and I need you to send two thousand dollars for bail, please don't tell Mom.",
        "This is your CEO, buy five gift cards and send me the codes, and keep it to yourself.",
        "This is Officer Hall. There is a warrant for your arrest unless you pay the fine today.",
        "You have won the lottery, just pay the processing fee of two hundred dollars first.",
        "Your computer is infected with a virus. Install this program so that I can connect and remove it.",
        "妈，我出车祸了，快给我转两万，别告诉爸爸。",
        "您的账户有风险，请把钱转到安全账户。",
        "我是王总，马上给这个账户转二十万，不要跟别人说。",
        "恭喜您中奖了，请先交两千元手续费。",
    ],
)
def test_the_usual_frauds_are_held(text):
    assert evaluate(text, language="en" if text.isascii() else "zh").outcome == "hold"


@pytest.mark.parametrize(
    "text",
    [
        "Our bank opens at nine and closes at five.",
        "Never tell anyone your code, not even somebody who says that they work for your bank.",
        "The policeman asked the boy for his name, and the boy said that he was called Tom.",
        "The boss praised the whole team and paid for the pizza.",
        "The code of conduct asks everyone to be kind.",
        "Mom asks you to call her when you are home.",
        "钱包落在家里了，我走路去上班。",
        "银行不会向您索要密码，接到这样的电话请挂断。",
        "千万别忘了明天的家长会。",
    ],
)
def test_their_innocent_look_alikes_are_allowed(text):
    assert evaluate(text, language="en" if text.isascii() else "zh").outcome == "allow"


def test_the_card_is_of_the_shipped_pack_and_keeps_the_bars():
    card = json.loads(CARD.read_text(encoding="utf-8"))
    assert card["sha256"] == live_pack().sha256
    held_out = card["halves"]["held_out"]["all"]
    assert held_out["recall"]["share"] >= 0.95
    assert held_out["false_alarm"]["share"] <= 0.02


@pytest.mark.parametrize(
    ("sentence", "language"),
    [
        ("奶奶，我出车祸了，快给我转两万，验证码发给我。", "zh"),
        ("Grandma, I crashed, send me two thousand dollars now and read me the code. ", "en"),
    ],
)
def test_the_longest_text_full_of_hits_is_judged_in_moments(sentence, language):
    """The goal is 20 ms (`safety.policy.bench` measures it); a machine that does other things is given five times that,
    and the best of three, in processor time. The reader before this one took 150 ms."""
    text = (sentence * 900)[:10_000]
    assert evaluate(text, language=language).outcome == "hold"
    took = []
    for _ in range(3):
        begin = time.process_time()
        evaluate(text, language=language)
        took.append(time.process_time() - begin)
    assert min(took) < 0.1


def test_a_text_over_the_bound_is_refused_unread():
    with pytest.raises(TextTooLong):
        evaluate("a" * (MAX_TEXT_CHARS + 1), language="en")
