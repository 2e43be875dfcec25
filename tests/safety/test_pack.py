"""A pack loads whole and proven, or not at all."""

import json
import shutil

import pytest

from safety.pack import PackInvalid, load
from safety.policy import CORE


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(CORE, tmp_path / "core")


def edit(folder, change):
    file = folder / "rules" / "bank.json"
    data = json.loads(file.read_text())
    change(data["rules"][0])
    file.write_text(json.dumps(data))


def test_the_core_pack_loads_and_every_rule_proves_its_own_examples():
    pack = load(CORE)
    assert pack.label == "core@1"
    assert pack.languages == {"en", "zh"}
    for rule in pack.rules:
        spoken = rule.examples.match
        assert any(sentence.isascii() for sentence in spoken), rule.id
        assert any("\u4e00" <= char <= "\u9fff" for sentence in spoken for char in sentence), rule.id


def test_the_hash_follows_the_rules_and_not_the_layout_of_the_files(copy):
    before = load(copy).sha256
    file = copy / "rules" / "bank.json"
    file.write_text(json.dumps(json.loads(file.read_text()), indent=7))
    assert load(copy).sha256 == before
    edit(copy, lambda rule: rule["all_of"][0].append("a quite new phrase"))
    assert load(copy).sha256 != before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rule: rule["examples"]["match"].append("The cat sat on the mat."), "misses its own example"),
        (lambda rule: rule["examples"]["clean"].append(rule["examples"]["match"][0]), "innocent example"),
        (lambda rule: rule.update(outcome="allow"), "outcome"),
        (lambda rule: rule.update(clause="no.such"), "unknown clause"),
        (lambda rule: rule.update(languages=["fr"]), "does not cover"),
        (lambda rule: rule.update(regex=".*"), "Extra inputs"),
        (lambda rule: rule.update(id="boss.urgent-payment"), "share an id"),
        (lambda rule: rule.update(within=0), "within"),
        (lambda rule: rule["all_of"].append([]), "all_of"),
        (lambda rule: rule["all_of"][0].append("a"), "core"),
    ],
)
def test_a_damaged_rule_keeps_the_whole_pack_out(copy, change, says):
    edit(copy, change)
    with pytest.raises(PackInvalid, match=says):
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
