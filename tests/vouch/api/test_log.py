"""The public log over HTTP: who sees what."""

import base64
import json
from typing import Any

import httpx
import pytest
from django.db import transaction

from foundation.audit import checkpoints, cose, log, merkle, notes, rebuild, spellings
from foundation.audit.models import Checkpoint, Leaf
from foundation.audit.tasks import checkpoint
from foundation.audit.verify import verify_receipt
from foundation.identity.actors import Actor
from foundation.keys import public_key
from vouch import cli

pytestmark = pytest.mark.django_db


def add(subject: str, actor: Actor | None = None) -> Leaf:
    with transaction.atomic():
        return log.append(
            kind="clock.moved", subject=subject, actor=actor or Actor.system("test"), data={"offset_seconds": 1}
        )


def test_anybody_reads_the_key_and_the_checkpoint_which_verifies(api: Any) -> None:
    leaf = add("clock:1")
    key = api(None).get("log/public-key").json()
    assert bytes.fromhex(key["public_key"]) == public_key("log")
    answer = api(None).get("log/checkpoint")
    assert answer["Content-Type"].startswith("text/plain")
    checkpoint = notes.verify(answer.content.decode(), public_key("log"), origin=key["origin"])
    assert checkpoint.size > leaf.index


def test_an_auditor_sees_bodies_others_only_hashes_strangers_nothing(api: Any, person: Any) -> None:
    leaf = add("clock:secret")
    url = f"log/leaves?from={leaf.index}&limit=1"
    (row,) = api(person("auditor")).get(url).json()["leaves"]
    assert json.loads(row["body"])["subject"] == "clock:secret"
    answer = api(person()).get(url)
    (row,) = answer.json()["leaves"]
    assert row == {"index": leaf.index, "hash": bytes(leaf.leaf_hash).hex()}
    assert b"secret" not in answer.content
    assert api(None).get(url).status_code == 401


def test_pages_are_in_order_and_bounded(api: Any, person: Any) -> None:
    first = add("clock:0").index
    for number in range(4):
        add(f"clock:{number + 1}")
    client = api(person())
    answer = client.get(f"log/leaves?from={first}&limit=3").json()
    assert [row["index"] for row in answer["leaves"]] == [first, first + 1, first + 2]
    assert answer["size"] >= first + 5
    assert client.get("log/leaves?from=4000000000000000000").json()["leaves"] == []
    for query in ("limit=0", "limit=1001", "from=-1", "from=x", "from=99999999999999999999"):
        answer = client.get(f"log/leaves?{query}")
        assert answer.status_code == 422
        assert answer.json()["code"] == "invalid_fields"
        assert query.split("=")[0] in answer.json()["fields"]


def test_a_consistency_proof_joins_two_checkpoints(api: Any) -> None:
    add("clock:0")
    old = checkpoints.make()
    for number in range(5):
        add(f"clock:{number}")
    new = checkpoints.make()
    answer = api(None).get(f"log/consistency?from={old.size}&to={new.size}").json()
    merkle.verify_consistency(
        old_size=old.size, new_size=new.size, old_root=bytes(old.root), new_root=bytes(new.root),
        proof=[base64.b64decode(step) for step in answer["proof"]],
    )  # fmt: skip
    assert api(None).get(f"log/consistency?from={new.size}&to={old.size}").status_code == 404
    assert api(None).get(f"log/consistency?from=0&to={new.size + 1}").status_code == 404
    assert api(None).get("log/consistency?from=0").status_code == 422


def test_the_command_line_rebuilds_the_log_over_http(api: Any, person: Any) -> None:
    for number in range(7):
        add(f"clock:{number}")
    newest = checkpoint.run()

    def rebuilt(who: Any) -> rebuild.Report:
        caller = api(who)

        def answer(request: httpx.Request) -> httpx.Response:
            """The request as it is, answered by the real views: a socket would need a second, committed connection."""
            got = caller.get(request.url.raw_path.decode())
            return httpx.Response(got.status_code, content=got.content)

        client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://localhost/api/v1")
        leaves, signed = cli.read_remote(client)
        return rebuild.rebuild(leaves, signed, public_key("log"))

    assert rebuilt(person("auditor")).intact
    assert rebuilt(person()).size == newest
    with pytest.raises(cli.Trouble, match="401"):
        rebuilt(None)


def test_a_receipt_goes_to_the_auditor_the_subject_and_the_one_who_acted(api: Any, person: Any) -> None:
    subject, doer = person(), person()
    leaf = add(f"person:{subject.id}", Actor.of(doer))
    for reader in (subject, doer, person("auditor")):
        receipt = api(reader).get(f"log/leaves/{leaf.index}/receipt").json()
        assert verify_receipt(receipt, public_key("log")).index == leaf.index


def test_the_same_receipt_comes_as_cose_and_as_tlog_proof(api: Any, person: Any) -> None:
    subject = person()
    leaf = add(f"person:{subject.id}")
    client = api(subject)
    signed, proof = (client.get(f"log/leaves/{leaf.index}/receipt.{form}") for form in ("cose", "tlog-proof"))
    assert signed["Content-Type"] == "application/cose"
    assert cose.check(signed.content, public_key("log")).index == leaf.index
    assert verify_receipt(spellings.from_tlog_proof(proof.content), public_key("log")).index == leaf.index


@pytest.mark.parametrize("form", ["cose", "tlog-proof"])
def test_a_stranger_gets_no_receipt_in_any_spelling(api: Any, person: Any, form: str) -> None:
    leaf = add(f"person:{person().id}")
    foreign, unknown = (api(person()).get(f"log/leaves/{index}/receipt.{form}") for index in (leaf.index, 10**9))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json() | {"request_id": ""} == unknown.json() | {"request_id": ""}
    assert api(None).get(f"log/leaves/{leaf.index}/receipt.{form}").status_code == 401
    assert not Checkpoint.objects.exists()


def test_a_strangers_receipt_does_not_exist(api: Any, person: Any) -> None:
    leaf = add(f"person:{person().id}")
    client = api(person())
    foreign, unknown = client.get(f"log/leaves/{leaf.index}/receipt"), client.get("log/leaves/99999999999999/receipt")
    for answer in (foreign, unknown, client.get("log/leaves/99999999999999999999999/receipt")):
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
    assert {**foreign.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
    assert b"clock.moved" not in foreign.content
    assert api(None).get(f"log/leaves/{leaf.index}/receipt").status_code == 401


def test_nothing_here_can_be_written(api: Any, person: Any) -> None:
    leaf = add("clock:1")
    client = api(person("operator"))
    for path in ("log/checkpoint", "log/leaves", f"log/leaves/{leaf.index}/receipt", "log/public-key"):
        assert client.post(path, json={}).status_code == 405
        assert client.delete(path).status_code == 405
    assert bytes(Leaf.objects.get(index=leaf.index).body) == leaf.body
