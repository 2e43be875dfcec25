"""Decisions keep what they rest on, repeat, are tried under other packs, and forget words in time."""

import hashlib
import json
import uuid
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from foundation import clock
from foundation.identity.actors import Actor
from foundation.vault.models import KeyState, VaultKey
from safety.policy import decisions, library, replay
from safety.policy.models import PolicyDecision, PolicyTextKey, Stage
from safety.tasks import forget_decisions
from tests.safety.policy.packs import change, copy_of_core

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")
FRAUD = "Grandma, I had an accident, please send the money today and do not tell anyone."
FINE = "The weather is lovely this morning and the train leaves at nine."
ZEBRA = "The zebra crossed the road at noon."


def decide(person, text, *, language="en", **known):
    verdict = decisions.judge(
        text, language=language, known={f"requester.{name}": value for name, value in known.items()}
    )
    return decisions.record(
        verdict=verdict, stage=Stage.REQUEST, requester_id=person.id, voice_ref=str(uuid.uuid4()), text=text,
        text_digest=hashlib.sha256(text.encode()).hexdigest(), language=language, actor=SYSTEM,
    )  # fmt: skip


@pytest.fixture
def stricter(tmp_path):
    """Rules that hold what the shipped pack lets pass, without reading texts otherwise."""
    folder = copy_of_core(tmp_path / "rules")
    change(folder, "rules/caution.json", lambda data: data["rules"][0].update(
        when="requester.account_age_days < threshold.young_account_days", id="caution.everything",
        examples={"match": ["x y"], "clean": ["x y"], "facts": {"requester.account_age_days": 1},
                  "clean_facts": {"requester.account_age_days": 100}}))  # fmt: skip
    library.sign(folder)
    return folder


@pytest.fixture
def zebras(tmp_path):
    """A pack that reads texts otherwise: it holds zebras."""
    folder = copy_of_core(tmp_path / "zebras")
    change(folder, "terms/en.json", lambda data: data["terms"].update(zebra=["zebra"]))
    change(folder, "features.json", lambda data: data["features"].append({"name": "zebra", "value": 'terms("zebra")'}))
    change(folder, "rules/bank.json", lambda data: data["rules"].append({
        "id": "zebra", "when": "text.zebra", "clause": "fraud.bank", "outcome": "hold", "severity": 1,
        "examples": {"match": ["A zebra."], "clean": ["A horse."]}}))  # fmt: skip
    library.sign(folder)
    return folder


def test_a_decision_keeps_its_pack_and_facts_and_no_words(person):
    made = decide(person(), FRAUD, strikes=1)
    made.refresh_from_db()
    assert (made.outcome, made.rule) == ("hold", "family.emergency-money")
    assert made.pack_id == library.in_use().live.sha256
    assert made.facts["requester.strikes"] == 1
    assert "Grandma" not in json.dumps(made.facts)
    assert decisions.words_of(made) == FRAUD


def test_a_decision_made_again_is_the_same_even_when_the_text_is_gone_and_another_pack_rules(
    person, stricter, settings
):
    settings.VOUCH_POLICY_TEXT_DAYS = 5
    made = [decide(person(), text) for text in (FRAUD, FINE)]
    library.promote(folder=stricter, actor=SYSTEM)
    clock.move_forward(timedelta(days=6))
    for one in made:
        one.refresh_from_db()
        assert decisions.words_of(one) is None
        assert decisions.again(one).outcome == one.outcome
    assert all(same for _, _, same in replay.rerun(made))
    library._compiled.cache_clear()


def test_a_changed_record_does_not_repeat(person, capsys):
    made = decide(person(), FRAUD)
    call_command("policy", "rerun")
    assert "1 the same, 0 different" in capsys.readouterr().out
    PolicyDecision.objects.filter(id=made.id).update(outcome="allow", rule="", clause="")
    with pytest.raises(CommandError, match="does not repeat"):
        call_command("policy", "rerun", str(made.id))
    with pytest.raises(CommandError, match="no such decision"):
        call_command("policy", "rerun", str(uuid.uuid4()))


def test_simulate_tells_what_would_change_by_rule_language_age_and_load(person, stricter, capsys):
    who = person()
    decide(who, FRAUD)
    decide(who, FINE, account_age_days=2)
    decide(who, "今天天气很好，我们去公园散步。", language="zh", account_age_days=0)
    decide(who, FINE, account_age_days=50)
    call_command("policy", "simulate", str(stricter), "--since", "90d", "--json")
    report = json.loads(capsys.readouterr().out)
    assert (report["replayed"], report["changed"], report["not_replayed"]) == (4, 2, 0)
    assert report["changes"] == [["allow", "hold", 2]]
    assert report["by_rule"] == [["", "caution.everything", 2]]
    assert report["by_language"] == {"en": 1, "zh": 1}
    assert report["by_account_age"] == {"under a week": 1, "under a day": 1}
    assert report["queue_load"] == {
        "days": 1, "per_day_then": 1.0, "per_day_now": 3.0, "busiest_day_then": 1, "busiest_day_now": 3
    }  # fmt: skip
    call_command("policy", "simulate", str(stricter))
    assert "4 decisions, 2 change" in capsys.readouterr().out


def test_simulate_reads_sealed_texts_again_where_a_pack_reads_otherwise_and_says_which_are_gone(
    person, zebras, settings
):
    settings.VOUCH_POLICY_TEXT_DAYS = 5
    who = person()
    decide(who, ZEBRA)
    clock.move_forward(timedelta(days=6))
    decide(who, ZEBRA)
    report = replay.simulate(library.take(zebras), since=clock.now() - timedelta(days=365))
    assert (report.replayed, report.changed, report.unread) == (1, 1, 1)


def test_simulate_changes_nothing(person, zebras):
    decide(person(), ZEBRA)
    before = list(PolicyDecision.objects.values())
    replay.simulate(library.take(zebras), since=clock.now() - timedelta(days=1))
    assert list(PolicyDecision.objects.values()) == before
    assert library.in_use().live.label == "core@3"


def test_a_report_equals_what_the_shadow_then_says(person, zebras, capsys):
    who = person()
    for text in (ZEBRA, FINE, FRAUD):
        decide(who, text)
    expected = replay.simulate(library.take(zebras), since=clock.now() - timedelta(days=1)).to_dict()
    PolicyDecision.objects.all().delete()
    row = library.shadow(folder=zebras, actor=SYSTEM)
    for text in (ZEBRA, FINE, FRAUD):
        made = decide(who, text)
        assert made.outcome == ("hold" if text is FRAUD else "allow")
    found = replay.shadowed(sha256=row.sha256, since=clock.now() - timedelta(days=1)).to_dict()
    assert {**found, "examples": None} == {**expected, "examples": None}
    call_command("policy", "status")
    assert "3 decisions, 1 change" in capsys.readouterr().out
    library._compiled.cache_clear()


def test_texts_end_with_their_time_and_the_sweep_ends_their_keys(person, settings):
    settings.VOUCH_POLICY_TEXT_DAYS = 5
    made = decide(person(), FINE)
    clock.move_forward(timedelta(days=4))
    assert decisions.words_of(made) == FINE
    assert decisions.forget_old() == 0
    clock.move_forward(timedelta(days=1, minutes=1))
    assert decisions.words_of(made) is None
    clock.move_forward(timedelta(days=14))
    forget_decisions()
    assert decisions.forget_old() == 0
    assert VaultKey.objects.get(kind="policy_text").state == KeyState.DESTROYED
    assert PolicyDecision.objects.count() == 1
    PolicyDecision.objects.update(at=clock.now() - decisions.FACTS_KEPT - timedelta(minutes=1))
    decisions.forget_old()
    assert not PolicyDecision.objects.exists()


def test_an_erased_person_s_texts_open_no_more_and_nobody_else_s_are_touched(person):
    mine, other = person(), person()
    first, second = decide(mine, FINE), decide(other, FINE)
    decide(mine, FRAUD)
    assert PolicyTextKey.objects.count() == 2
    assert decisions.forget_person(person_id=mine.id) == 1
    assert (decisions.words_of(first), decisions.words_of(second)) == (None, FINE)


def test_without_days_no_word_is_kept(person, settings):
    settings.VOUCH_POLICY_TEXT_DAYS = 0
    made = decide(person(), FINE)
    assert made.text is None
    assert not VaultKey.objects.filter(kind="policy_text").exists()
