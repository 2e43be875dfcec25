"""A pack loads whole, signed and proven, or not at all."""

import json
import shutil

import pytest

from safety.policy import CORE, live_pack, pack, release_key, signing
from safety.policy.errors import (
    DividesByZero,
    ExpressionInvalid,
    PackInvalid,
    PackUnsigned,
    PatternInvalid,
    UnknownFact,
)
from tests.safety.policy.packs import KEY, TRUSTED, WEATHER, change, copy_of_core, load, rule, sign, small


@pytest.fixture
def copy(tmp_path):
    return copy_of_core(tmp_path)


def first_rule(edit):
    return lambda data: edit(data["rules"][0])


def test_the_core_pack_loads_by_the_release_key_and_every_rule_proves_its_own_examples():
    core = pack.load(CORE, trusted={"release": release_key()})
    assert core.label == "core@3"
    assert core.languages == {"en", "zh"}
    assert core.sha256 == live_pack().sha256
    for one in core.rules:
        assert one.examples.match
        assert one.examples.clean


def test_the_hash_follows_the_rules_and_not_the_layout_of_the_files(copy):
    before = load(copy)
    file = copy / "rules" / "bank.json"
    file.write_text(json.dumps(json.loads(file.read_text()), indent=7))
    assert load(copy).sha256 == before.sha256
    change(copy, "terms/en.json", lambda data: data["terms"]["kin"].append("a quite new phrase"))
    assert load(copy).sha256 != before.sha256
    assert load(copy).reading != before.reading


def test_what_reads_the_text_has_a_hash_of_its_own(copy):
    before = load(copy)
    change(copy, "rules/bank.json", first_rule(lambda one: one.update(severity=3)))
    assert load(copy).reading == before.reading
    assert load(copy).sha256 != before.sha256


# -- the signature ----------------------------------------------------------------------------------------------------


def test_an_unsigned_pack_is_refused(copy):
    (copy / "signature.json").unlink()
    with pytest.raises(PackUnsigned):
        pack.load(copy, trusted=TRUSTED)


def test_a_pack_signed_by_somebody_else_is_refused(copy):
    sign(copy, bytes(32))
    with pytest.raises(PackUnsigned, match="does not trust"):
        pack.load(copy, trusted=TRUSTED)


@pytest.mark.parametrize("file", ["rules/bank.json", "terms/zh.json", "features.json", "pack.json", "patterns/en.json"])
def test_any_change_after_signing_is_noticed(copy, file):
    sign(copy)
    edits = {
        "rules/bank.json": first_rule(lambda one: one.update(severity=1)),
        "terms/zh.json": lambda data: data["terms"]["kin"].pop(),
        "features.json": lambda data: data["features"].append({"name": "new", "value": "true"}),
        "pack.json": lambda data: data["thresholds"].update(fraud=1000),
        "patterns/en.json": lambda data: data["patterns"].update(more="x+"),
    }
    change(copy, file, edits[file])
    with pytest.raises(PackUnsigned, match="not what was signed"):
        pack.load(copy, trusted=TRUSTED)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"key": 1, "signature": "00"}', '{"key": "zz", "signature": "zz"}', "x" * 2_000]
)
def test_what_is_no_signature_is_refused(copy, text):
    (copy / "signature.json").write_text(text)
    with pytest.raises(PackUnsigned):
        pack.load(copy, trusted=TRUSTED)


def test_a_cut_signature_is_refused(copy):
    found = signing.sign(pack.read(copy).canonical(), KEY)
    signing.write(copy, {**found, "signature": found["signature"][:-2]})
    with pytest.raises(PackUnsigned):
        pack.load(copy, trusted=TRUSTED)


# -- bad packs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "error", "says"),
    [
        (lambda one: one.update(when="text.fraud_points >"), ExpressionInvalid, "does not parse"),
        (lambda one: one.update(when="text.fraud_points / 0 > 1"), DividesByZero, "bank.move-money"),
        (lambda one: one.update(when="requester.shoe_size > 44"), UnknownFact, "requester.shoe_size"),
        (lambda one: one.update(when="threshold.none > 4"), UnknownFact, "threshold.none"),
        (lambda one: one.update(when="classifier.fraud > 0.5"), UnknownFact, "classifier.fraud"),
        (lambda one: one.update(when='terms("kin")'), UnknownFact, "kin"),
        (lambda one: one.update(when="text.fraud_points"), ExpressionInvalid, "truth"),
        (lambda one: one["examples"]["match"].append("The cat sat on the mat."), PackInvalid, "misses its own example"),
        (lambda one: one["examples"]["clean"].append(one["examples"]["match"][0]), PackInvalid, "innocent example"),
        (lambda one: one["examples"].update(facts={"requester.strikes": "many"}), PackInvalid, "requester.strikes"),
        (lambda one: one.update(outcome="allow"), PackInvalid, "outcome"),
        (lambda one: one.update(outcome="allow_with_label"), PackInvalid, "label"),
        (lambda one: one.update(label="x"), PackInvalid, "label"),
        (lambda one: one.update(clause="no.such"), PackInvalid, "unknown clause"),
        (lambda one: one.update(run="import os"), PackInvalid, "Extra inputs"),
        (lambda one: one.update(id="boss.urgent-payment"), PackInvalid, "share an id"),
        (lambda one: one.update(severity=4), PackInvalid, "severity"),
    ],
)
def test_a_damaged_rule_keeps_the_whole_pack_out(copy, edit, error, says):
    change(copy, "rules/bank.json", first_rule(edit))
    with pytest.raises(error, match=says):
        load(copy)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ('terms("nobody")', UnknownFact),
        ("requester.strikes > 1", UnknownFact),  # features read the text alone
        ('place("later")', UnknownFact),
        ("text.later", UnknownFact),
        ("1 / 0", DividesByZero),
        ('"a text"', ExpressionInvalid),
    ],
)
def test_a_damaged_feature_keeps_the_whole_pack_out(copy, value, error):
    change(copy, "features.json", lambda data: data["features"].insert(0, {"name": "broken", "value": value}))
    change(copy, "features.json", lambda data: data["features"].append({"name": "later", "value": "true"}))
    with pytest.raises(error, match="broken"):
        load(copy)


@pytest.mark.parametrize("pattern", ["(a+)+$(?=b)", r"(x)\1", "a{2000}", "((a{90}){90}){90}", "(", "a*"])
def test_an_exploding_or_unbounded_pattern_keeps_the_pack_out(copy, pattern):
    change(copy, "patterns/en.json", lambda data: data["patterns"].update(bad=pattern))
    with pytest.raises(PatternInvalid, match="bad"):
        load(copy)


def test_a_feature_cannot_take_the_name_of_a_built_in_fact_or_of_another(copy):
    change(copy, "features.json", lambda data: data["features"].append({"name": "characters", "value": "1"}))
    with pytest.raises(PackInvalid, match="built in"):
        load(copy)


def test_a_pack_without_head_rules_or_json_is_refused(copy):
    (copy / "rules" / "bank.json").write_text("{")
    with pytest.raises(PackInvalid, match=r"bank\.json"):
        load(copy)
    shutil.rmtree(copy / "rules")
    with pytest.raises(PackInvalid, match="0 rule files"):
        load(copy)
    (copy / "pack.json").unlink()
    with pytest.raises(PackInvalid, match=r"pack\.json"):
        load(copy)


def test_an_oversized_file_is_refused_before_it_is_parsed(copy):
    (copy / "rules" / "bank.json").write_bytes(b" " * 1_000_001)
    with pytest.raises(PackInvalid, match="larger"):
        load(copy)


def test_a_short_phrase_keeps_the_pack_out(copy):
    change(copy, "terms/en.json", lambda data: data["terms"]["kin"].append("a"))
    with pytest.raises(PackInvalid, match="too short"):
        load(copy)


def test_rules_are_ordered_from_the_strongest():
    pack_ = small(
        rule("text.characters > 20", name="c", outcome="allow_with_label", label="long"),
        rule("text.characters > 20", name="b", outcome="ask_owner"),
        rule("text.characters > 20", name="a", outcome="refuse"),
        rule("text.characters > 20", name="d"),
    )
    assert [one.id for one in pack_.rules] == ["a", "d", "b", "c"]
    assert WEATHER


def test_canonical_bytes_come_back_as_the_same_pack():
    again = pack.compile_pack(pack.parse(live_pack().source))
    assert again.sha256 == live_pack().sha256
