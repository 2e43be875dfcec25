"""Packs are tried, put in force and taken back; a bad one changes nothing."""

import pytest
from django.core.management import CommandError, call_command

from foundation import keys
from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from safety.policy import CORE, library, live_pack, signing
from safety.policy.errors import DividesByZero, PackInvalid, PackUnsigned
from safety.policy.models import PackState, PolicyPack
from tests.safety.policy.packs import change, copy_of_core

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")


@pytest.fixture
def pack(tmp_path):
    """A signed pack of this deployment's that differs from the shipped one by a threshold."""
    folder = copy_of_core(tmp_path)
    change(folder, "pack.json", lambda data: data.update(version="4", thresholds={**data["thresholds"], "fraud": 90}))
    library.sign(folder)
    return folder


def kinds():
    return [
        kind for kind in Leaf.objects.order_by("index").values_list("kind", flat=True) if kind.startswith("policy.")
    ]


def test_the_shipped_pack_rules_until_one_is_promoted(pack):
    assert library.in_use().live.sha256 == live_pack().sha256
    library.promote(folder=pack, actor=SYSTEM)
    assert library.in_use().live.label == "core@4"
    library.rollback(actor=SYSTEM)
    assert library.in_use().live.sha256 == live_pack().sha256
    with pytest.raises(library.NothingToRollBack):
        library.rollback(actor=SYSTEM)
    assert kinds() == ["policy.promoted", "policy.rolled_back"]


def test_promoting_what_is_in_force_is_refused(pack):
    library.promote(folder=pack, actor=SYSTEM)
    with pytest.raises(library.AlreadyLive):
        library.promote(folder=pack, actor=SYSTEM)


def test_the_shadow_decides_nothing_and_ends_by_promotion(pack):
    library.shadow(folder=pack, actor=SYSTEM)
    used = library.in_use()
    assert (used.live.label, used.shadow.label) == ("core@3", "core@4")
    library.promote(folder=pack, actor=SYSTEM)
    assert library.in_use().shadow is None
    library.shadow(folder=CORE, actor=SYSTEM)
    assert library.in_use().shadow.label == "core@3"
    assert library.shadow(folder=None, actor=SYSTEM) is None
    assert library.in_use().shadow is None
    assert kinds() == ["policy.shadowed", "policy.promoted", "policy.shadowed", "policy.shadow_ended"]


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (lambda data: data["rules"][0].update(when="text.fraud_points / 0 > 1"), DividesByZero),
        (lambda data: data["rules"][0].update(severity=1), PackUnsigned),
    ],
)
def test_a_bad_pack_leaves_the_old_one_in_force(pack, edit, error):
    library.promote(folder=pack, actor=SYSTEM)
    change(pack, "rules/bank.json", edit)
    if error is not PackUnsigned:
        key = keys.private_key("policy")
        from safety.policy.pack import read

        signing.write(pack, signing.sign(read(pack).canonical(), key))
    for act in (library.promote, library.shadow):
        with pytest.raises(error):
            act(folder=pack, actor=SYSTEM)
    assert library.in_use().live.label == "core@4"
    assert PolicyPack.objects.count() == 2


def test_the_first_decision_keeps_the_pack_that_judged_and_no_other_under_the_shipped_signature(pack):
    assert library.row_of(live_pack()).sha256 == live_pack().sha256
    with pytest.raises(PackUnsigned):
        library.row_of(library.take(pack))
    assert PolicyPack.objects.count() == 1


def test_a_kept_pack_that_was_tampered_with_is_not_used(pack):
    row = library.promote(folder=pack, actor=SYSTEM)
    library._compiled.cache_clear()
    PolicyPack.objects.filter(sha256=row.sha256).update(
        source=bytes(row.source).replace(b'"severity":2', b'"severity":1')
    )
    with pytest.raises(PackUnsigned):
        library.in_use()
    library._compiled.cache_clear()


def test_the_database_knows_one_live_pack(pack):
    from django.db import IntegrityError, transaction

    library.promote(folder=pack, actor=SYSTEM)
    with pytest.raises(IntegrityError), transaction.atomic():
        PolicyPack.objects.update(state=PackState.LIVE)


# -- the command ------------------------------------------------------------------------------------------------------


def run(capsys, *words):
    call_command("policy", *[str(word) for word in words])
    return capsys.readouterr().out


def test_the_command_signs_checks_promotes_and_rolls_back(tmp_path, capsys):
    folder = copy_of_core(tmp_path)
    change(folder, "pack.json", lambda data: data.update(version="9"))
    with pytest.raises(CommandError, match="pack_unsigned"):
        call_command("policy", "promote", folder)
    assert "is signed" in run(capsys, "sign", folder)
    assert "core@9" in run(capsys, "check", folder)
    assert "in force" in run(capsys, "promote", folder)
    assert "core@9" in run(capsys, "status")
    assert "core@3" in run(capsys, "rollback")
    with pytest.raises(CommandError, match="nothing_to_roll_back"):
        call_command("policy", "rollback")


def test_the_command_names_what_is_wrong_and_the_old_pack_stays(tmp_path):
    folder = copy_of_core(tmp_path)
    change(folder, "rules/bank.json", lambda data: data["rules"][0].update(when="nothing.known > 1"))
    with pytest.raises(CommandError, match=r"unknown_fact.*The pack in force stays"):
        call_command("policy", "sign", folder)
    with pytest.raises(CommandError, match="pack_invalid"):
        call_command("policy", "promote", tmp_path / "nowhere")


# -- classifiers ------------------------------------------------------------------------------------------------------


def shouting(text, language):
    return 1.0 if text.isupper() else 0.0


def test_a_deployment_s_classifier_is_a_fact_of_its_packs(pack, settings):
    change(
        pack,
        "rules/bank.json",
        lambda data: data["rules"].append(
            {
                "id": "caution.shouting", "when": "classifier.shouting > 0.5", "clause": "fraud.caution",
                "outcome": "hold", "severity": 1,
                "examples": {"match": ["ALL IN CAPITALS"], "clean": ["As usual."]},
            }
        ),
    )  # fmt: skip
    with pytest.raises(PackInvalid, match="classifier"):
        library.sign(pack)
    settings.VOUCH_POLICY_CLASSIFIERS = "shouting=tests.safety.policy.test_library:shouting"
    library.sign(pack)
    library.promote(folder=pack, actor=SYSTEM)
    from safety.policy import decisions

    found = decisions.judge("THE WEATHER IS LOVELY", language="en", known={})
    assert (found.outcome, found.rule, found.facts["classifier.shouting"]) == ("hold", "caution.shouting", 1.0)
    assert decisions.judge("The weather is lovely", language="en", known={}).outcome == "allow"
    library._compiled.cache_clear()


@pytest.mark.parametrize("configured", ["x=no.such.module:f", "x=json:nothing", "x", "x=json"])
def test_a_classifier_that_cannot_be_had_is_a_named_failure(settings, configured):
    settings.VOUCH_POLICY_CLASSIFIERS = configured
    with pytest.raises(PackInvalid, match="cannot be had"):
        library.classifiers()
