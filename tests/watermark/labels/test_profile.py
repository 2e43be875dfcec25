import dataclasses
import json
from pathlib import Path

import pytest

import watermark.labels.profile as module
from watermark.labels.profile import DEFAULT_PROFILE, NAMES, BadProfile, load_profile, parse

FILE = Path(module.__file__).parent / "profiles" / "labels-1.json"


@pytest.fixture
def values():
    return json.loads(FILE.read_text("utf-8"))


def test_one_file_holds_every_profile(values):
    assert values["version"] == module.VERSION
    assert set(values["profiles"]) == set(NAMES)
    for name in NAMES:
        assert load_profile(name).name == name
        assert load_profile(name).version == "labels-1"


def test_the_default_label_satisfies_the_audible_rule_of_every_market():
    default = load_profile(DEFAULT_PROFILE)
    for name in NAMES:
        profile = load_profile(name)
        assert set(default.writes) <= set(profile.accepts)
        assert set(default.positions) <= set(profile.accepts_positions)


@pytest.mark.parametrize(("asked", "given"), [("zh", "zh"), ("zh-Hans-CN", "zh"), ("en_GB", "en"), ("fr", "en")])
def test_line_follows_the_listeners_language(asked, given):
    assert load_profile("eu").line(asked).language == given


@pytest.mark.parametrize("name", ["nothing", "../labels-1", "", "CN"])
def test_unknown_profile_is_refused(name):
    with pytest.raises(BadProfile):
        load_profile(name)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("rhythm"),
        lambda v: v["rhythm"].update(more=1),
        lambda v: v["rhythm"].update(gap_units=[1, 3]),
        lambda v: v["rhythm"].update(pattern="long short"),
        lambda v: v["profiles"]["eu"].update(writes=["song"]),
        lambda v: v["profiles"]["eu"].update(writes=["rhythm"]),
        lambda v: v["profiles"]["eu"].update(positions=["end"]),
        lambda v: v["profiles"]["eu"].update(requires=["applause"]),
        lambda v: v["profiles"].pop("eu"),
        lambda v: v.update(fallback_language="fr"),
        lambda v: v["spoken"]["en"].pop("per_minute"),
    ],
)
def test_malformed_file_is_refused(values, change):
    change(values)
    with pytest.raises(BadProfile):
        parse(values, "eu")


def test_a_changed_recording_is_refused():
    line = load_profile("eu").line("en")
    assert line.asset()[:4] == b"fLaC"
    for changes in ({"sha256": "0" * 64}, {"file": "nothing.flac"}):
        with pytest.raises(BadProfile):
            dataclasses.replace(line, **changes).asset()
