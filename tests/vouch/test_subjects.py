"""What a person is handed of what is held about them, and what is left when they have it erased."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command

from cloning.models import Job
from consent.models import Consent
from foundation import keys
from foundation.audit import export as exports
from foundation.audit import people, rebuild
from foundation.audit.models import Opening
from foundation.clock import move_forward
from foundation.identity.actors import Actor
from foundation.identity.models import ApiKey, Person
from foundation.vault.errors import PastDeadline
from foundation.vault.models import VaultKey
from marketplace.hooks.models import Endpoint
from marketplace.payouts.models import PayoutAccount
from retention import certificates, custody
from retention.models import CustodyItem
from safety.models import Report
from tests.cloning import factories
from tests.retention.factories import held_by_law, received
from vouch import subjects

pytestmark = pytest.mark.django_db(transaction=True)


def story(person: Any) -> tuple[Person, CustodyItem]:
    """Somebody with a consent, a voice, and a recording in custody."""
    owner = person()
    factories.voice(owner, factories.consent(owner))
    return owner, received(owner, data=b"what was said")


def test_the_export_holds_every_table_that_names_the_person_and_no_other_person(person: Any, api: Any) -> None:
    owner, item = story(person)
    stranger, _ = story(person)
    answer = api(owner).get("me/export")
    assert answer.status_code == 200
    body = answer.content.decode()
    tables = answer.json()["tables"]
    assert {"identity.person", "identity.apikey", "retention.custodyitem"} <= set(tables)
    assert {"consent.consent", "consent.recording", "consent.challenge", "cloning.voice", "cloning.job"} <= set(tables)
    assert owner.email in body
    assert stranger.email not in body
    assert str(stranger.id) not in body
    mine = next(row for row in tables["retention.custodyitem"] if row["id"] == str(item.id))
    assert mine["salt"] == bytes(item.salt).hex()
    # With it they can show which entries of the log name them.
    assert bytes.fromhex(tables["identity.person"][0]["log_salt"]) == bytes(owner.log_salt)
    for secret in subjects.SECRET:
        assert f'"{secret}"' not in body


def test_a_licence_is_handed_to_both_its_sides(person: Any) -> None:
    owner, licensee, stranger = person(), person(), person()
    licence = factories.licence(factories.consent(owner), licensee)
    for one in (owner, licensee):
        (row,) = subjects.export(actor=Actor.of(one))["tables"]["consent.licence"]
        assert (row["id"], row["statement"]) == (str(licence.id), licence.statement)
    assert "consent.licence" not in subjects.export(actor=Actor.of(stranger))["tables"]


def test_every_key_to_a_person_was_thought_about() -> None:
    """A new one is exported by itself; one under which a person only acts must be named as such."""
    found = {f"{model._meta.label_lower}.{key}" for model, key in subjects._keys()}
    assert found >= subjects.ACTED
    suspicious = [name for name in found - subjects.ACTED if name.endswith(("_by", "moderator", "operator"))]
    assert suspicious == []


def test_of_what_a_moderator_did_only_the_number_is_told(person: Any) -> None:
    one, other = person("operator"), person("operator")
    hold = held_by_law(received(person()), one, other)
    told = subjects.export(actor=Actor.of(one))
    assert told["acts_on_what_is_others"] == {"retention.legalhold.requested_by": 1}
    assert str(hold.item_id) not in json.dumps(told)


def test_only_the_person_is_handed_it_or_erases(person: Any, api: Any) -> None:
    owner, _ = story(person)
    assert api(None).get("me/export").status_code == 401
    assert api(None).post("me/erase", {"confirm": str(owner.id)}).status_code == 401
    assert api(owner, scopes=["speak"]).get("me/export").status_code == 403
    assert api(owner, scopes=["consent:read"]).post("me/erase", {"confirm": str(owner.id)}).status_code == 403
    assert api(person()).post("me/erase", {"confirm": str(owner.id)}).status_code == 422
    assert api(owner).post("me/erase", {}).status_code == 422
    owner.refresh_from_db()
    assert owner.is_active
    assert Consent.objects.get(person=owner).state == "active"


def test_an_erasure_ends_everything_forgets_the_person_and_the_log_still_verifies(
    person: Any, api: Any, tmp_path: Any
) -> None:
    owner, item = story(person)
    name, email = owner.display_name, owner.email
    client = api(owner)
    answer = client.post("me/erase", {"confirm": str(owner.id)})
    assert answer.status_code == 200
    assert answer.json()["kept"] == list(subjects.KEPT)
    owner.refresh_from_db()
    item.refresh_from_db()
    assert (owner.is_active, owner.display_name) == (False, "")
    assert not Person.objects.filter(email=email).exists()
    assert not ApiKey.objects.filter(person=owner).exists()
    assert client.get("me").status_code == 401
    assert Consent.objects.get(person=owner).state == "withdrawn"
    assert set(CustodyItem.objects.filter(subject=owner).values_list("state", flat=True)) == {"destroyed"}
    assert not VaultKey.objects.filter(kind__in=["voice", "template", "custody", "output"], state="active").exists()
    # The log: as valid as before, and it has no word of them.
    call_command("export_log", str(tmp_path / "log"), verbosity=0)
    leaves, signed = exports.read_leaves(tmp_path / "log"), list(exports.read_checkpoints(tmp_path / "log"))
    report = rebuild.rebuild(leaves, signed, keys.public_key("log"))
    assert not report.findings
    written = b"".join(path.read_bytes() for path in (tmp_path / "log").rglob("*") if path.is_file())
    assert b"person.erased" in written
    assert str(owner.id).encode() not in written
    assert owner.log_salt is None
    assert email.encode() not in written
    assert name.encode() not in written


def test_without_its_salt_a_commitment_can_be_shown_to_nobody(person: Any) -> None:
    owner, item = story(person)
    custody.destroy(item=item, reason="test", actor=factories.SYSTEM)
    item.refresh_from_db()
    assert custody.matches(item, b"what was said")
    subjects.erase(actor=Actor.of(owner))
    item.refresh_from_db()
    assert bytes(item.salt) == b""
    assert not custody.matches(item, b"what was said")
    # Its certificate still proves that what was committed to is gone.
    certificates.verify(custody.certificate(item), keys.public_key("log"))


def test_a_legal_hold_outlasts_an_erasure_and_then_ends(person: Any) -> None:
    owner, item = story(person)
    held_by_law(item, person("operator"), person("operator"), days=5)
    subjects.erase(actor=Actor.of(owner))
    item.refresh_from_db()
    assert item.state == "held"
    with pytest.raises(PastDeadline):
        custody.read(item=item, actor=factories.SYSTEM)
    move_forward(timedelta(days=6))
    assert custody.sweep() == 1


def test_work_in_progress_and_staff_accounts_are_not_erased(person: Any) -> None:
    owner, _ = story(person)
    Job.objects.filter(requester=owner).update(state="queued", finished_at=None)
    with pytest.raises(subjects.WorkInProgress):
        subjects.erase(actor=Actor.of(owner))
    with pytest.raises(subjects.StaffAccount):
        subjects.erase(actor=Actor.of(person("moderator")))
    owner.refresh_from_db()
    assert owner.is_active


def test_bank_account_and_addresses_of_webhooks_go_with_the_person(person: Any) -> None:
    owner, _ = story(person)
    PayoutAccount.objects.create(person=owner, name="Ada", iban="DE89370400440532013000", currency="EUR")
    endpoint = Endpoint.objects.create(owner=owner, url="https://ada.example/hook", kinds=["order.paid"], salt="1" * 64)
    digest = people.commit_for("https://ada.example/hook", person_id=owner.id)
    tables = subjects.export(actor=Actor.of(owner))["tables"]
    assert tables["marketplace.payoutaccount"][0]["iban"] == "DE89370400440532013000"
    assert tables["audit.opening"][0]["id"] == digest
    done = subjects.erase(actor=Actor.of(owner))["erased"]
    assert (done["bank_accounts"], done["addresses"]) == (1, 1)
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.salt, endpoint.ended_at is None) == (subjects.NO_ADDRESS, "", False)
    assert not PayoutAccount.objects.exists()
    assert not Opening.objects.exists()


def test_what_they_wrote_is_emptied(person: Any) -> None:
    from safety import services as safety

    owner, _ = story(person)
    safety.report(actor=Actor.of(owner), subject_kind="person", subject_ref=str(person().id), text="My words.")
    subjects.erase(actor=Actor.of(owner))
    assert (Report.objects.get().text, Report.objects.get().text_salt) == ("", "")
