"""What anybody needs to check an output without us; who may not have it; and a revocation that everybody sees."""

import json

import pytest
from django.core.management import call_command

from cloning import services
from cloning.models import SpeechRequest
from foundation.clock import now
from foundation.identity.actors import Actor
from safety.services import restrict
from tests.cloning import factories as make
from tests.vouch.api.test_cloning import code, finished, speak
from watermark import status, verdict
from watermark.evidence import Materials
from watermark.labels.profile import load_profile
from watermark.models import IssuedMark

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def made(owner, api):
    """An output in a container that holds no manifest, so that all of the proof is needed."""
    voice = make.voice(owner, make.consent(owner))
    return finished(SpeechRequest.objects.get(id=speak(api(owner), voice, container="opus").json()["id"]))


def listed(api, number=1, **headers):
    return api(None).get(f"status/{number}", **headers)


def revoked(api, output):
    keys = api(None).get("provenance/keys").json()
    found = status.check(listed(api).content, bytes.fromhex(keys["provenance"]), number=1)
    return found.revoked(status.entry(IssuedMark.objects.get(output_ref=str(output.id)).pk)["index"])


def test_everything_that_is_handed_out_makes_a_verdict_offline(owner, api, made, capsys):
    client = api(owner)
    data = b"".join(client.get(f"outputs/{made.id}/audio").streaming_content)
    proof, keys = client.get(f"outputs/{made.id}/proof").json(), api(None).get("provenance/keys").json()
    call_command("export_marks")
    materials = Materials(
        proof=proof,
        roots=keys["c2pa_roots"],
        log_key=bytes.fromhex(keys["log"]),
        signer_key=bytes.fromhex(keys["provenance"]),
        status=listed(api).content,
    )
    report = verdict.judge(data, load_profile("in"), materials, now())
    assert (report.verdict, report.agree) == ("compliant", True)
    states = {layer.name: layer.state for layer in report.layers}
    assert [states[name] for name in ("audible", "aigc", "c2pa", "statement", "log", "status")] == ["ok"] * 6
    assert capsys.readouterr().out.split() == [str(mark.payload) for mark in IssuedMark.objects.order_by("id")]

    manifest = client.get(f"outputs/{made.id}/c2pa")
    assert manifest["Content-Type"] == "application/c2pa"
    assert len(manifest.content) > 1_000


def test_nobody_else_gets_proof_or_manifest(person, owner, api, made):
    for caller in (api(person()), api(None)):
        for what in ("proof", "c2pa"):
            refused = caller.get(f"outputs/{made.id}/{what}")
            assert refused.status_code in (401, 404)
            assert str(made.sha256) not in json.dumps(refused.json())
    narrow = api(owner, ["consent:read"])
    assert code(narrow.get(f"outputs/{made.id}/proof")) == (403, "missing_scope")


def test_a_container_with_its_manifest_inside_has_no_sidecar(owner, api):
    voice = make.voice(owner, make.consent(owner))
    output = finished(SpeechRequest.objects.get(id=speak(api(owner), voice).json()["id"]))
    assert code(api(owner).get(f"outputs/{output.id}/c2pa")) == (404, "not_found")


def test_an_ended_consent_is_seen_in_the_list(owner, api, made):
    assert not revoked(api, made)
    services.destroy_voices_for_consent(consent_id=made.voice.consent_id, actor=make.SYSTEM)
    assert revoked(api, made)


def test_a_moderators_withdrawal_is_seen_in_the_list(person, api, made):
    restrict(
        actor=Actor.of(person(role="moderator")), subject_kind="output", subject_ref=str(made.id),
        effect="quarantine", reason="reported", clause="policy.abuse",
    )  # fmt: skip
    assert revoked(api, made)


def test_list_is_public_cacheable_and_says_nothing_of_anybody(api, made):
    first = listed(api)
    assert first["Content-Type"] == "application/vc+jwt"
    assert first["Access-Control-Allow-Origin"] == "*"
    assert sorted(first["Cache-Control"].split(", ")) == ["max-age=300", "public"]
    assert listed(api, If_None_Match=first["ETag"]).status_code in (200, 304)
    again = api(None).client.get("/api/v1/status/1", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert str(made.id).encode() not in first.content
    services.destroy_voices_for_consent(consent_id=made.voice.consent_id, actor=make.SYSTEM)
    changed = api(None).client.get("/api/v1/status/1", headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200


@pytest.mark.parametrize("number", [0, 2, 10**12])
def test_a_list_that_does_not_exist_is_not_found(api, made, number):
    assert code(listed(api, number)) == (404, "not_found")
