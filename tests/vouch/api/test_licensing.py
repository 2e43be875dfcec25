"""Licences, offers, seats and approvals over HTTP; and who may not."""

import pytest

from consent import licence_proofs, odrl
from consent.models import Licence, LicenceOffer
from foundation import keys
from tests.cloning import factories as make

pytestmark = pytest.mark.django_db
TERMS = {"text": "VL-COMMERCIAL-1", "scope": {"notice_days": 30}, "characters": 500, "days": 7}


@pytest.fixture
def owner(person):
    return person()


@pytest.fixture
def customer(person):
    return person()


@pytest.fixture
def ground(owner):
    return make.consent(owner)


def test_the_texts_are_public_and_hashed(api):
    found = {one["id"]: one for one in api(None).get("licence-texts").json()}
    assert found["VL-PERSONAL-1"]["limits"]["channels"] == ["private", "social"]
    assert all(len(one["sha256"]) == 64 and set(one["texts"]) == {"en", "zh"} for one in found.values())


@pytest.mark.django_db(transaction=True)
def test_from_a_request_to_a_licence_with_receipts_and_odrl_for_both(api, owner, customer, person):
    ground = make.consent(owner)
    hers, his, stranger = api(owner), api(customer), api(person())
    asked = his.post("offers", json={"consent": str(ground.id), **TERMS})
    assert asked.status_code == 201
    offer = asked.json()["id"]
    assert stranger.post(f"offers/{offer}/sign").status_code == 404
    assert his.post(f"offers/{offer}/sign").json()["code"] == "offer_closed"
    countered = hers.post(f"offers/{offer}/counter", json={**TERMS, "characters": 400}).json()
    licence = his.post(f"offers/{countered['id']}/sign").json()
    assert (licence["characters_cap"], licence["text"]) == (400, "VL-COMMERCIAL-1")
    for side in (hers, his):
        receipt = side.get(f"licences/{licence['id']}/receipt").json()
        assert licence_proofs.verify(receipt, keys.public_key("log"))["characters"] == 400
        scope, characters, _ = odrl.read(side.get(f"licences/{licence['id']}/odrl").json())
        assert (scope.notice_days, characters) == (30, 400)
    for path in ("", "/receipt", "/odrl", "/seats"):
        assert stranger.get(f"licences/{licence['id']}{path}").status_code == 404
    assert stranger.get("offers").json() == []


def test_terms_beyond_the_consent_are_refused_with_their_clause(api, customer, ground):
    refused = api(customer).post("offers", json={"consent": str(ground.id), **TERMS, "days": 300})
    assert (refused.status_code, refused.json()["clause"]) == (422, "term")
    for characters in (0, -1, 10**18):
        body = {"consent": str(ground.id), **TERMS, "characters": characters}
        assert api(customer).post("offers", json=body).status_code in (400, 422)
    assert not LicenceOffer.objects.exists()


def test_owners_end_licences_and_others_do_not(api, owner, customer, person, ground):
    held = make.licence(ground, customer, scope={"notice_days": 2})
    for nobody in (api(customer), api(person())):
        assert nobody.post(f"licences/{held.id}/notice").status_code == 404
        assert nobody.post(f"licences/{held.id}/stop", json={"reason": "x"}).status_code == 404
    assert api(person(role="operator")).post(f"licences/{held.id}/stop", json={"reason": "x"}).status_code == 403
    assert Licence.objects.get().notice_given_at is None
    assert api(owner).post(f"licences/{held.id}/notice").json()["state"] == "active"
    assert api(owner).post(f"licences/{held.id}/stop").json()["code"] == "reason_missing"
    stopped = api(owner).post(f"licences/{held.id}/stop", json={"reason": "Fraud."}).json()
    assert (stopped["state"], stopped["ended_reason"]) == ("ended", "safety_stop")


def test_a_scope_s_edge_is_told_with_clause_and_number(api, owner, customer, ground):
    voice = make.voice(owner, ground)
    make.licence(ground, customer, cap=20, scope={"channels": ["online"]})
    client = api(customer)
    ask = {"voice": str(voice.id), "language": "en", "text": "Twenty letters here."}
    assert client.post("speech", json=ask).json()["clause"] == "channels"
    assert client.post("speech", json={**ask, "channel": "online"}).status_code == 202
    edge = client.post("speech", json={**ask, "text": "One", "channel": "online"}).json()
    assert (edge["code"], edge["detail"]) == ("licence_cap", "cap: 20 of 20 characters used")


def test_the_owner_approves_a_text_and_nobody_else_does(api, owner, customer, person, ground):
    voice = make.voice(owner, ground)
    make.licence(ground, customer, scope={"moderation": "every"})
    asked = (
        api(customer).post("speech", json={"voice": str(voice.id), "language": "en", "text": "Good morning."}).json()
    )
    assert (asked["state"], len(asked["approval"])) == ("held", 36)
    for nobody in (api(customer), api(person())):
        assert nobody.get("approvals").json() == []
        path = f"approvals/{asked['approval']}/decide"
        assert nobody.post(path, json={"decision": "approve"}).status_code == 404
    (waiting,) = api(owner).get("approvals").json()
    assert waiting["text"] == "Good morning."
    assert api(owner).post(f"approvals/{waiting['id']}/decide", json={"decision": "approve"}).status_code == 200
    assert api(customer).get(f"speech/{asked['id']}").json()["state"] == "queued"


def test_seats_by_code(api, owner, customer, person, ground):
    held = make.licence(ground, customer, scope={"caps": {"seats": 2}})
    assert api(owner).post(f"licences/{held.id}/seats").status_code == 404
    seat = api(customer).post(f"licences/{held.id}/seats").json()
    guest = api(person())
    assert guest.post("seats/join", json={"code": "nonsense"}).status_code == 404
    assert guest.post("seats/join", json={"code": seat["code"]}).status_code == 200
    assert api(customer).post(f"licences/{held.id}/seats").json()["detail"] == "cap: 2 of 2 seats used"
    assert api(owner).post(f"seats/{seat['id']}/return").status_code == 404
    assert guest.post(f"seats/{seat['id']}/return").json()["returned_at"] is not None


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("get", "licences/{id}"), ("get", "licences/{id}/receipt"), ("post", "licences/{id}/notice"),
        ("post", "licences/{id}/stop"), ("post", "licences/{id}/seats"), ("get", "offers"), ("post", "offers"),
        ("post", "offers/{id}/sign"), ("post", "offers/{id}/counter"), ("post", "offers/{id}/decline"),
        ("get", "approvals"), ("post", "approvals/{id}/decide"), ("post", "seats/join"), ("post", "seats/{id}/return"),
    ],
)  # fmt: skip
def test_strangers_do_nothing_here(api, ground, verb, path):
    assert getattr(api(None), verb)(path.format(id=ground.id)).status_code == 401


def test_the_list_of_relabelled_outputs_is_signed_and_open_to_everybody(api):
    from watermark import status

    answer = api(None).get("status/1/refresh")
    assert answer.status_code == 200
    found = status.check(answer.content, keys.public_key("provenance"), number=1, purpose=status.REFRESH)
    assert not any(found.bits)
    with pytest.raises(status.BadStatusList):
        status.check(answer.content, keys.public_key("provenance"), number=1)
