"""The desk's pages without a browser: who may open which, and that no words become markup."""

import html
import uuid

import pytest
from django.test import Client

from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from safety import appeals, notices, services, views_log
from safety.models import Case, Statement
from safety.policy import live_pack
from tests.safety.desk import hold, nobody, reported, rule, settled
from tests.safety.test_notices import FORM

pytestmark = pytest.mark.django_db
XSS = '"><img src=x onerror=alert(1)><script>alert(1)</script>{{ 7|add:7 }}'


@pytest.fixture
def sign_in():
    def make(someone):
        client = Client()
        client.force_login(someone)
        return client

    return make


def test_no_text_field_becomes_markup(person, sign_in):
    moderator, judge, customer = person("moderator"), person("moderator"), person()
    customer.display_name = XSS[:120]
    customer.save()
    case = hold(customer, text=f"Grandma, I had an accident, please send the money today. {XSS}")
    views_log.note(actor=Actor.of(moderator), case_id=case.id, text=XSS, interested=())
    settled(moderator, case, "refuse", reason=XSS, clause=XSS[:64])
    made = appeals.appeal(actor=Actor.of(customer), statement_id=Statement.objects.get().id, text=XSS)
    appeals.say(actor=Actor.of(judge), appeal_id=made.id, text=XSS, stakes=nobody)
    about = reported(person(), ref=uuid.uuid4(), text=XSS)
    words = dict.fromkeys(("sender_name", "sender_address", "individual", "claim", "signature"), XSS)
    notices.receive(**{**FORM, **words, "sender_phone": XSS[:40]})
    taken, _ = notices.receive(**{**FORM, **words, "subject_ref": str(uuid.uuid4())})
    noticed = notices.triage(actor=Actor.of(judge), notice_id=taken.id, follow=True, stakes=nobody).case
    pages = [
        f"/desk/{case.id}",
        f"/desk/{about.id}",
        f"/desk/{noticed.id}",
        f"/desk/appeals/{made.id}",
        "/desk/notices",
    ]
    bodies = [sign_in(judge).get(path).content.decode() for path in [*pages, "/desk", "/desk/archive", "/desk/figures"]]
    bodies.append(sign_in(customer).get("/reasons").content.decode())
    bodies.append(sign_in(customer).get(f"/report?ref={XSS[:60]}").content.decode())
    bodies.append(Client().get("/notice", {"output": XSS}).content.decode())
    assert sum("&lt;img src=x" in body for body in bodies) >= 7
    assert not any("<img src=x" in body or "<script>alert" in body for body in bodies)


def test_the_page_says_the_rule_and_the_clause_in_words(person, sign_in):
    case = hold(person())
    said = live_pack().clauses[case.clause]
    body = sign_in(person("moderator")).get(f"/desk/{case.id}").content.decode()
    assert case.rule in body
    assert said in html.unescape(body)
    Case.objects.filter(id=case.id).update(pack_sha256="0" * 64)  # of a pack that is kept no more
    body = sign_in(person("moderator")).get(f"/desk/{case.id}").content.decode()
    assert case.clause in body
    assert said not in html.unescape(body)


def test_nobody_with_a_stake_opens_the_case(person, sign_in):
    mine = person("moderator")
    own, judged = hold(mine), reported(mine)
    for case in (own, judged):
        assert sign_in(mine).get(f"/desk/{case.id}").status_code == 403
        assert sign_in(person("senior")).get(f"/desk/{case.id}").status_code == 200


@pytest.mark.parametrize("role", ["member", "auditor", "operator"])
def test_who_is_no_moderator_opens_no_page_to_act_on(person, sign_in, role):
    case = hold(person())
    before = Leaf.objects.count()
    client = sign_in(person(role))
    for path in ("/desk", "/desk/appeals", "/desk/notices", f"/desk/appeals/{uuid.uuid4()}", f"/desk/checks/{case.id}"):
        assert client.get(path).status_code == 403, path
    assert client.get(f"/desk/{case.id}").status_code == (404 if role == "auditor" else 403)
    assert Leaf.objects.count() == before


def test_an_auditor_reads_what_is_decided_and_finds_nothing_to_press(person, sign_in):
    case = hold(person())
    settled(person("moderator"), case, "refuse")
    body = sign_in(person("auditor")).get(f"/desk/{case.id}").content.decode()
    assert "Grandma" in body
    assert "<button" not in body.split("<main", 1)[1].split('id="palette"')[0]
    assert sign_in(person("operator")).get(f"/desk/{case.id}").status_code == 403
    assert sign_in(person("operator")).get("/desk/archive").status_code == 200
    assert Leaf.objects.filter(kind="case.viewed").count() == 1


@pytest.mark.parametrize(
    "path", ["/desk?after=nowhere", "/desk/archive?after=%00", "/desk/not-an-id", "/desk/appeals/7"]
)
def test_forged_places_and_ids_are_not_found(person, sign_in, path):
    assert sign_in(person("moderator")).get(path).status_code == 404


def test_the_queue_ignores_filters_it_does_not_know(person, sign_in):
    hold(person())
    answer = sign_in(person("moderator")).get("/desk?kind=<script>&severity=99")
    assert answer.status_code == 200
    assert "family.emergency-money" in answer.content.decode()


def test_the_page_offers_undo_while_there_is_time(person, sign_in):
    moderator = person("moderator")
    case = hold(person())
    rule(moderator, case, "allow")
    assert f'data-undo="{case.id}"' in sign_in(moderator).get("/desk").content.decode()
    assert "data-undo" not in sign_in(person("moderator")).get("/desk").content.decode()
    services.undo(actor=Actor.of(moderator), case_id=case.id)
    assert Case.objects.get().state == "claimed"
