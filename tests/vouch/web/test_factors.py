"""Second factors on their pages, at sign-in and at step-up: who may, who may not, and what is written down."""

import json
import re
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.test import Client

from foundation.audit.models import Leaf
from foundation.clock import now
from foundation.identity import second_factor
from foundation.identity.models import ApiKey, SignedIn
from tests.vouch.factors import PASSWORD, app_of, code_of, with_password
from vouch.adapters import FAILURES
from vouch.api.core import throttling
from vouch.web.templatetags.factors import device

pytestmark = pytest.mark.django_db
PAGES = ["/second-factor", "/second-factor/app", "/second-factor/app/remove", "/second-factor/passkeys",
         "/second-factor/passkeys/1/remove", "/second-factor/recovery", "/second-factor/recovery/new",
         "/again/password", "/again/code", "/again/passkey"]  # fmt: skip
NO_CREDENTIALS = ["", "x", "[]", "1", "null", "{}", '{"id": 1}', '{"id": "AA", "rawId": "AA", "response": {}}',
                  json.dumps({"id": "AA", "rawId": "AA", "type": "public-key", "clientExtensionResults": {},
                              "response": {"clientDataJSON": "AA", "authenticatorData": "AA", "signature": "AA",
                                           "userHandle": "_w"}}),
                  '{"response": "' + "x" * 70_000 + '"}']  # fmt: skip


@pytest.fixture(autouse=True)
def doors_unused(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # nothing here is about slow hashes
    cache.clear()
    for name in throttling._redis().scan_iter("limit:*"):
        throttling._redis().delete(name)


@pytest.fixture
def somebody(person):
    return with_password(person())


def sign_in(one, password=PASSWORD, **more):
    client = Client()
    return client, client.post("/sign-in", {"username": one.email, "password": password, **more})


def signed_in(client):
    return "_auth_user_id" in client.session


def said(kind):
    return [json.loads(bytes(leaf.body))["data"] for leaf in Leaf.objects.filter(kind=kind).order_by("index")]


def acts():
    return [one["act"] for one in said("person.second_factor")]


def test_an_app_is_set_up_on_its_page_and_asked_for_at_the_next_sign_in(somebody):
    client, _ = sign_in(somebody)
    assert client.get("/second-factor/app")["Location"] == "/again/password?next=%2Fsecond-factor%2Fapp"
    assert not Authenticator.objects.exists()
    again = client.post("/again/password?next=/second-factor/app", {"password": "wrong wrong"})
    assert again.status_code == 200
    client.post("/again/password?next=/second-factor/app", {"password": PASSWORD})
    page = client.get("/second-factor/app").content.decode()
    secret = re.search(r'<code id="secret">([^<]+)<', page)[1]
    assert secret.replace(" ", "") not in json.dumps(dict(client.session.items()))
    assert client.post("/second-factor/app", {"code": "12"}).status_code == 200
    assert not Authenticator.objects.exists()
    done = client.post("/second-factor/app", {"code": code_of(secret)})
    assert done["Location"] == "/second-factor/recovery"
    codes = re.findall(r"<li><code>(\d{8})<", client.get("/second-factor/recovery").content.decode())
    assert len(codes) == 10
    assert codes[0] not in client.get("/second-factor/recovery").content.decode()  # shown once
    assert acts() == ["app_added"]

    late, answer = sign_in(somebody, next="/consents")
    assert (answer["Location"], signed_in(late)) == ("/sign-in/second-factor", False)
    before = late.session.session_key
    assert late.post("/sign-in/second-factor", {"code": "000"}).status_code == 200
    assert not signed_in(late)
    assert late.post("/sign-in/second-factor", {"code": code_of(secret, ahead=1)})["Location"] == "/consents"
    assert signed_in(late)
    assert late.session.session_key != before
    other, _ = sign_in(somebody)
    other.post("/sign-in/second-factor", {"code": codes[3]})
    assert signed_in(other)
    spent, _ = sign_in(somebody)
    spent.post("/sign-in/second-factor", {"code": codes[3]})
    assert not signed_in(spent)
    ways = [one["by"] for one in said("person.signed_in")]
    assert ways == [["password"], ["password", "totp"], ["password", "recovery_codes"]]


def test_a_password_alone_neither_adds_nor_removes_a_factor_where_there_is_one(somebody, api):
    code = app_of(somebody)
    client = Client()
    client.force_login(somebody)
    sent = client.post("/again/password?next=/second-factor/app/remove", {"password": PASSWORD})
    assert sent["Location"].startswith("/again/code")
    for path in ["/second-factor/app/remove", "/second-factor/passkeys", "/second-factor/recovery/new"]:
        assert client.post(path, {})["Location"].startswith("/again/code"), path
    assert api(somebody).post("second-factor", json={"password": PASSWORD}).json()["code"] == "step_up_needed"
    assert Authenticator.objects.count() == 1
    client.post("/again/code?next=/second-factor/app/remove", {"code": code()})
    assert client.get("/second-factor/app/remove").status_code == 200
    client.post("/second-factor/app/remove")
    assert not Authenticator.objects.exists()
    assert acts()[-1] == "app_removed"


def test_a_recovery_code_is_no_step_up(person, api):
    senior = with_password(person(role="senior"))
    code = app_of(senior)
    client = Client()
    client.force_login(senior)
    client.post("/again/code?next=/", {"code": code()})
    assert _shown(client, senior)
    client.post("/second-factor/recovery/new")
    codes = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()
    late = Client()
    late.force_login(senior)
    assert (
        late.post("/again/code?next=/second-factor/recovery", {"code": codes[0]})["Location"]
        == "/second-factor/recovery"
    )
    assert not _shown(late, senior)
    assert api(senior).post("step-up", json={"code": codes[1]}).json()["code"] == "wrong_code"
    assert "recovery_codes_made" in acts()


def _shown(client, one):
    from django.test import RequestFactory

    from vouch import stepup

    request = RequestFactory().get("/")
    request.session, request.user = client.session, one
    try:
        stepup.require_step_up(request)
    except stepup.StepUpNeeded:
        return False
    return True


def test_nobody_reaches_a_page_of_factors_unknown_nor_anothers_passkey(somebody, person):
    for path in PAGES:
        for answer in (Client().get(path), Client().post(path, {"code": "1", "credential": "{}"})):
            assert answer.status_code in (302, 405), path
            assert answer.status_code == 405 or answer["Location"].startswith("/sign-in"), path
    assert not Authenticator.objects.exists()
    code, stranger = app_of(somebody), person()
    theirs = Authenticator.objects.create(user=stranger, type="webauthn", data={"name": "theirs", "credential": {}})
    client = Client()
    client.force_login(somebody)
    client.post("/again/code?next=/", {"code": code()})
    assert client.post(f"/second-factor/passkeys/{theirs.pk}/remove").status_code == 404
    assert client.get("/second-factor/recovery").status_code == 404
    assert Authenticator.objects.filter(pk=theirs.pk).exists()
    assert Client().post("/sign-in/second-factor", {"code": "1"})["Location"] == "/sign-in"


@pytest.mark.parametrize("credential", NO_CREDENTIALS)
def test_what_is_no_passkey_is_refused_and_opens_nothing(credential, somebody):
    client = Client()
    asked = client.get("/sign-in/passkey", headers={"Accept": "application/json"}).json()
    assert asked["request_options"]["publicKey"]["userVerification"] == "required"
    answer = client.post("/sign-in/passkey", {"credential": credential})
    assert (answer.status_code, signed_in(client)) == (400, False)
    app_of(somebody)
    client.force_login(somebody)
    assert client.post("/again/passkey?next=/", {"credential": credential}).status_code in (302, 400)
    assert not _shown(client, somebody)


def test_a_passkey_is_no_way_for_programs_or_for_whoever_has_none(somebody, api):
    code = app_of(somebody)
    client = Client()
    client.force_login(somebody)
    for path, body in [("step-up/passkey/challenge", {}), ("step-up/passkey", {"credential": {"id": "AA"}})]:
        assert api(None).post(path, json=body).status_code == 401
        assert api(somebody).post(path, json=body).json()["code"] == "page_needed"
        answer = client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json")
        assert answer.json()["code"] in ("no_second_factor", "wrong_passkey")
    assert not _shown(client, somebody)
    assert client.post("/api/v1/step-up", json.dumps({"code": code()}), "application/json").status_code == 204
    assert _shown(client, somebody)
    second_factor.Authenticator.objects.all().delete()
    with pytest.raises(second_factor.NoSecondFactor):
        _shown(client, somebody)


def test_guessing_a_password_closes_the_account_to_passwords_and_is_told_once(somebody):
    for _ in range(FAILURES):
        assert sign_in(somebody, "wrong wrong")[1].status_code == 200
    for _ in range(3):
        client, answer = sign_in(somebody)
        assert (answer.status_code, int(answer["Retry-After"]) >= 1, signed_in(client)) == (429, True, False)
    assert said("person.sign_in_stopped") == [{"failures": 5, "seconds": 300}]
    assert said("person.signed_in") == []


def test_guessing_a_code_is_stopped_at_every_door_and_told_once(somebody, api):
    code = app_of(somebody)
    program = api(somebody)
    for _ in range(FAILURES):
        assert program.post("step-up", json={"code": "000"}).json()["code"] == "wrong_code"
    stopped = program.post("step-up", json={"code": code()})
    assert (stopped.status_code, stopped.json()["code"], int(stopped["Retry-After"]) >= 1) == (
        429,
        "too_many_guesses",
        True,
    )
    client, _ = sign_in(somebody)
    answer = client.post("/sign-in/second-factor", {"code": code()})
    assert (answer.status_code, signed_in(client)) == (429, False)
    assert acts() == ["app_added", "locked"]


def test_a_closed_account_reads_like_an_unknown_one(somebody):
    somebody.is_active = False
    somebody.save()
    client, answer = sign_in(somebody)
    assert "address or the password is wrong" in answer.content.decode()
    assert not signed_in(client)


def test_sessions_are_listed_and_ended_by_their_person_alone(somebody, person):
    here, _ = sign_in(somebody)
    there, _ = sign_in(somebody)
    third, _ = sign_in(somebody)
    stranger, _ = sign_in(with_password(person()))
    there_id = SignedIn.objects.get(session_key=there.session.session_key).id
    body = here.get("/me", headers={"user-agent": "x"}).content.decode()
    assert body.count("/me/sessions/") == 3  # two others, and all others
    assert "from 127.0.0.0/24" in body
    for client, way in ((stranger, there_id), (stranger, "others"), (Client(), there_id), (here, "x"), (here, 7)):
        client.post(f"/me/sessions/{way}/end")
        assert SignedIn.objects.filter(person=somebody).count() == 3
    assert here.get(f"/me/sessions/{there_id}/end").status_code == 405
    assert Client(enforce_csrf_checks=True, headers={"cookie": f"sessionid={here.session.session_key}"}).post(
        f"/me/sessions/{there_id}/end"
    ).status_code == 403  # fmt: skip
    assert here.post(f"/me/sessions/{there_id}/end")["Location"] == "/me"
    assert there.get("/me").status_code == 302
    assert third.get("/me").status_code == 200
    here.post("/me/sessions/others/end")
    assert [here.get("/me").status_code, third.get("/me").status_code] == [200, 302]
    assert said("person.sessions_ended") == [{"sessions": 1}, {"sessions": 1}]


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome, Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1", "Safari, iPhone"),
        ("", "Unknown device"),
    ],
)
def test_a_device_has_the_name_that_people_use(agent, name):
    assert device(agent) == name


def test_a_key_from_a_page_asks_for_the_second_factor_of_whoever_has_one(somebody):
    client, _ = sign_in(somebody)
    wanted = {"name": "mine", "scopes": ["speak"], "days": 30}

    def asked(**headers):
        return client.post("/api/v1/keys", wanted, content_type="application/json", headers=headers)

    made = asked()
    assert made.status_code == 201
    left = ApiKey.objects.get(id=made.json()["id"]).expires_at - now()
    assert timedelta(days=29) < left <= timedelta(days=30)
    next_code = app_of(somebody)
    client.force_login(somebody)
    assert (asked().status_code, asked().json()["code"]) == (403, "step_up_needed")
    assert ApiKey.objects.count() == 1
    assert asked(**{"x-step-up": next_code()}).status_code == 201


@pytest.mark.parametrize("days", [0, -1, 3651, "x", 1e300])
def test_a_key_that_could_not_end_is_not_made(somebody, days):
    client, _ = sign_in(somebody)
    answer = client.post(
        "/api/v1/keys", {"name": "k", "scopes": ["speak"], "days": days}, content_type="application/json"
    )
    assert answer.status_code == 422
    assert not ApiKey.objects.exists()
