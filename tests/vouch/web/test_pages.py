"""Each page: who may open it, what it must never contain, and what it shows of whom."""

import hashlib
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

import vouch.web
from foundation.clock import move_forward, now
from foundation.identity.actors import Actor
from retention import custody, holds
from retention.custody import sweep
from retention.purposes import Purpose
from safety import services as safety
from safety.policy import evaluate
from tests.cloning import factories as make
from tests.marketplace.factories import consent_of, ready_voice
from tests.retention.factories import held_by_law, received

pytestmark = pytest.mark.django_db
TEXT = "Grandma, I had an accident, please send the money today and do not tell anyone. <script>alert(1)</script>"
DESK = ["/desk/figures", "/desk/archive"]
PUBLIC = ["/", "/sign-in", "/sign-up", "/trace", "/log", "/retention", "/notice"]
MEMBERS = ["/consent", "/consents", "/me", "/recordings", "/reviews", "/market", "/market/offers", "/protect",
           "/earnings", "/orders", "/membership", "/second-factor"]  # fmt: skip
ACROSS = {"own_use": True, "licence_to_others": True, "cross_lingual": True}
NOWHERE = "0e4f3c1a-5d0b-4c39-9d6f-6f2f5a1c7b10"
"""An id that nothing has."""


@pytest.fixture
def sign_in():
    def make(someone):
        client = Client()
        client.force_login(someone)
        return client

    return make


@pytest.fixture
def held_case(person):
    customer = person()
    voice = ready_voice(person(), rehearsal=True)
    return safety.hold_text(
        requester_id=customer.id,
        voice_ref=str(voice.id),
        text=TEXT,
        text_digest=hashlib.sha256(TEXT.encode()).hexdigest(),
        verdict=evaluate(TEXT, language="en"),
        actor=Actor.of(customer),
    )


def licence_for(voice, holder):
    from consent.models import Licence

    return Licence.objects.create(
        consent=voice.consent,
        licensee=holder,
        scope={"languages": ["en"]},
        characters_cap=500,
        characters_used=20,
        valid_until=now() + timedelta(days=10),
        rehearsal=voice.rehearsal,
        leaf_index=0,
    )


def all_pages(person, held_case, sign_in, stranger=Client):
    """Every page of the console, as somebody who may open it: (path, answer)."""
    owner, moderator, auditor = person(), person("moderator"), person("auditor")
    voice = ready_voice(owner, rehearsal=True)
    for path in PUBLIC:
        yield path, stranger().get(path)
    licence = licence_for(voice, person())
    for path in ["/", *MEMBERS, f"/voices/{voice.id}", f"/voices/{voice.id}/batch", f"/licences/{licence.id}", "/log"]:
        yield path, sign_in(owner).get(path)
    for path in ["/market", f"/voices/{voice.id}", f"/licences/{licence.id}"]:
        yield path, sign_in(licence.licensee).get(path)
    yield "/report", sign_in(owner).get("/report")
    yield "/reasons", sign_in(owner).get("/reasons")
    for path in ["/", "/desk", f"/desk/{held_case.id}", *DESK, "/desk/appeals", "/desk/notices", "/second-factor"]:
        yield path, sign_in(moderator).get(path)
    for path in ["/", "/log", "/market", "/custody", *DESK]:
        yield path, sign_in(auditor).get(path)
    for path in ["/", "/custody", *DESK]:
        yield path, sign_in(person("operator")).get(path)


def test_every_page_opens_with_a_strict_policy_the_banner_and_nothing_inline(person, held_case, sign_in):
    for path, answer in all_pages(person, held_case, sign_in):
        body = answer.content.decode()
        assert answer.status_code == 200, path
        policy = answer["Content-Security-Policy"]
        assert "script-src 'self'" in policy, path
        assert "unsafe" not in policy, path
        assert "Rehearsal." in body, path
        assert not re.search(r"<script(?![^>]*\ssrc=)", body), f"inline script on {path}"
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", body), f"inline style or handler on {path}"
        assert re.search(r'<html lang="en">', body), path
        assert "no-store" in answer["Cache-Control"], path


def test_every_input_has_a_label(person, held_case, sign_in):
    for path, answer in all_pages(person, held_case, sign_in):
        body = answer.content.decode()
        labelled = set(re.findall(r'<label[^>]*\bfor="([^"]+)"', body))
        wrapped = "".join(re.findall(r"<label(?![^>]*\bfor=).*?</label>", body, re.DOTALL))
        for tag in re.findall(r"<(?:input|select|textarea)\b[^>]*>", body):
            identity = re.search(r'\bid="([^"]+)"', tag)
            known = 'type="hidden"' in tag or tag in wrapped or (identity and identity[1] in labelled)
            assert known, f"{tag} on {path}"


def test_outside_a_rehearsal_there_is_no_banner(settings):
    settings.REHEARSAL = False
    assert "Rehearsal." not in Client().get("/").content.decode()


@pytest.mark.parametrize("path", [*MEMBERS, "/desk", f"/desk/{NOWHERE}", f"/voices/{NOWHERE}"])
def test_nobody_signed_in_is_sent_to_sign_in_and_back(path):
    answer = Client().get(path)
    assert answer.status_code == 302
    assert answer["Location"] == f"/sign-in?next={path}"


@pytest.mark.parametrize(
    ("role", "path"),
    [
        ("member", "/desk"),
        ("auditor", "/desk"),
        ("operator", "/desk"),
        ("auditor", "/consent"),
        ("operator", "/consent"),
        ("operator", "/market"),
        ("member", "/custody"),
        ("auditor", "/me"),
        ("operator", "/recordings"),
        ("moderator", "/custody"),
        ("auditor", f"/voices/{NOWHERE}"),
    ],
)
def test_the_wrong_role_gets_a_page_that_says_so(person, sign_in, role, path):
    answer = sign_in(person(role)).get(path)
    assert answer.status_code == 403
    assert "another role" in answer.content.decode()


def test_a_member_cannot_read_a_held_case(person, sign_in, held_case):
    answer = sign_in(person()).get(f"/desk/{held_case.id}")
    assert answer.status_code == 403
    assert "Grandma" not in answer.content.decode()


def test_an_unknown_page_and_another_persons_voice_look_the_same(person, sign_in):
    stranger = sign_in(person())
    theirs = ready_voice(person(), rehearsal=True)
    unknown, foreign = stranger.get(f"/voices/{NOWHERE}"), stranger.get(f"/voices/{theirs.id}")
    assert (unknown.status_code, foreign.status_code) == (404, 404)
    assert "A voice" not in foreign.content.decode()
    assert stranger.get("/nothing-here").status_code == 404


def test_who_holds_a_licence_may_open_the_voice(person, sign_in):
    customer, voice = person(), ready_voice(person(), rehearsal=True)
    licence_for(voice, customer)
    answer = sign_in(customer).get(f"/voices/{voice.id}")
    assert answer.status_code == 200
    assert "Under your licence" in answer.content.decode()


def test_a_licence_s_page_is_for_its_sides_and_a_seat_opens_the_voice(person, sign_in):
    from consent import seats
    from consent.licences import grant_licence

    owner, holder, guest = person(), person(), person()
    voice = ready_voice(owner, rehearsal=True)
    licence = grant_licence(
        actor=Actor.of(owner), consent=voice.consent, licensee=holder, scope={"caps": {"seats": 2}}, characters_cap=500
    )
    path, speak = f"/licences/{licence.id}", f"/voices/{voice.id}"
    assert [sign_in(guest).get(one).status_code for one in (path, speak)] == [404, 404]
    _, code = seats.invite(actor=Actor.of(holder), licence_id=licence.id)
    seats.join(actor=Actor.of(guest), code=code)
    assert [sign_in(guest).get(one).status_code for one in (path, speak)] == [200, 200]
    pages = {who: sign_in(who).get(path).content.decode() for who in (owner, holder, guest)}
    assert "Stop now" in pages[owner]
    assert "Stop now" not in pages[holder] + pages[guest]
    assert "0 of 500 used, 500 left" in pages[guest]
    assert "Give it up" in pages[holder]
    assert "Give it up" not in pages[guest] + pages[owner]


def test_the_dashboard_shows_ones_own_things_and_nobody_elses(person, sign_in):
    owner, other = person(), person()
    voice, foreign = ready_voice(owner, rehearsal=True), ready_voice(other, rehearsal=True)
    licence_for(voice, other)
    item = custody.receive(
        stream=[b"sound"], purpose=Purpose.TRAINING, subject=owner, actor=Actor.of(owner), max_bytes=100
    )
    home, body = (sign_in(owner).get(path).content.decode() for path in ("/", "/me"))
    assert f"/voices/{voice.id}" in home
    assert str(foreign.id) not in home
    assert str(foreign.id) not in body
    assert f"/api/v1/consents/{voice.consent_id}/receipt" in body
    assert str(foreign.consent_id) not in body
    seconds = int(re.search(r'data-seconds-left="(\d+)"', body)[1])
    assert 0 < seconds <= (item.deadline - item.received_at).total_seconds()
    assert "1 licence under it ends" in body
    assert "480 of 500 characters left" in body


def test_a_recording_past_its_deadline_is_not_shown_as_held(person, sign_in):
    owner = person()
    custody.receive(
        stream=[b"sound"],
        purpose=Purpose.TRAINING,
        subject=owner,
        actor=Actor.of(owner),
        max_bytes=100,
        deadline=now() + timedelta(seconds=30),
    )
    from foundation import clock

    clock.move_forward(timedelta(seconds=31))
    assert "data-seconds-left" not in sign_in(owner).get("/me").content.decode()


def test_a_withdrawn_consent_offers_no_withdrawal(person, sign_in):
    owner = person()
    consent_of(owner, state="withdrawn", ended_at=now(), ended_leaf=0, rehearsal=True)
    body = sign_in(owner).get("/me").content.decode()
    assert "Withdrawn" in body
    assert "data-withdraw=" not in body


def test_only_an_auditor_sees_bodies_of_the_log(person, sign_in, held_case):
    member, auditor = sign_in(person()).get("/log"), sign_in(person("auditor")).get("/log")
    assert "case." in auditor.content.decode()
    assert "case." not in member.content.decode()
    assert re.search(r"<code>[0-9a-f]{64}</code>", member.content.decode())
    assert "Leaf hash" not in Client().get("/log").content.decode()


def test_a_held_text_is_shown_as_text_never_as_markup(person, sign_in, held_case):
    body = sign_in(person("moderator")).get(f"/desk/{held_case.id}").content.decode()
    assert "Grandma" in body
    assert "&lt;script&gt;alert(1)" in body
    assert "<script>alert" not in body
    assert "<fieldset disabled>" in body


def test_the_desk_lists_what_waits_without_its_text(person, sign_in, held_case):
    body = sign_in(person("moderator")).get("/desk").content.decode()
    assert f"/desk/{held_case.id}" in body
    assert "Grandma" not in body


def test_the_menu_follows_the_role(person, sign_in):
    desk = f'href="{reverse("web:desk")}"'
    assert desk in sign_in(person("moderator")).get("/").content.decode()
    for role in ("member", "auditor", "operator"):
        assert desk not in sign_in(person(role)).get("/").content.decode()


def test_an_owner_can_offer_only_a_voice_whose_consent_allows_it(person, sign_in):
    owner = person()
    yes = ready_voice(owner, rehearsal=True)
    no = ready_voice(owner, rehearsal=True, uses={"own_use": True})
    body = sign_in(owner).get("/market/offers").content.decode()
    assert f'<option value="{yes.id}">' in body
    assert f'<option value="{no.id}">' not in body


def test_the_policy_page_is_public_and_speaks_both_languages():
    assert "At most 72 hours from the first byte" in Client().get("/retention").content.decode()
    chinese = Client(headers={"Accept-Language": "zh-CN"}).get("/retention").content.decode()
    assert "至多 72 小时" in chinese


def test_the_operators_page_shows_incidents_and_holds_and_the_owner_sees_why(person, sign_in):
    owner = person()
    held = received(owner)
    held_by_law(held, person("operator"), person("operator"))
    late = received(person())
    move_forward(timedelta(hours=73))
    page = sign_in(person("operator")).get("/custody").content.decode()
    assert str(late.id) in page.split('id="h-soon"')[0]
    sweep()
    page = sign_in(person("operator")).get("/custody").content.decode()
    assert "Order 17/26 of a court" in page
    assert str(late.id) not in page.split('id="h-soon"')[0]
    assert str(late.id) in page.split('id="h-incidents"')[1]
    assert "Order 17/26 of a court" in sign_in(owner).get("/me").content.decode()


def test_an_operator_has_the_buttons_of_a_hold_and_an_auditor_has_none(person, sign_in):
    one, other = person("operator"), person("operator")
    item = received(person())
    until = now() + timedelta(days=1)
    hold = holds.request_hold(actor=Actor.of(one), item_id=item.id, reason="Order 3", expires_at=until)

    def acts(who):
        body = sign_in(who).get("/custody").content.decode()
        assert ('id="order"' in body) is (who.role == "operator")
        return re.findall(rf'data-hold="{hold.id}" data-act="(\w+)"', body)

    assert acts(one) == ["end"]
    assert acts(other) == ["approve", "end"]
    holds.approve_hold(actor=Actor.of(other), hold_id=hold.id)
    assert acts(one) == acts(other) == ["end"]
    holds.end_hold(actor=Actor.of(one), hold_id=hold.id)
    assert (acts(one), acts(other)) == ([], ["end"])
    assert acts(person("auditor")) == []


def test_a_form_that_only_a_script_can_send_waits_for_its_script() -> None:
    """Sent by the browser itself it would put what was typed into the address, and that into the servers' logs."""
    folder = Path(vouch.web.__file__).parent / "templates"
    forms = [form for page in folder.rglob("*.html") for form in re.findall(r"<form\b[^>]*>", page.read_text())]
    scripted = [form for form in forms if "method=" not in form]
    assert len(scripted) > 20
    assert [form for form in scripted if not form.startswith("<form inert ")] == []
    # ... and gets it: a module of its page has `wake` of dom.js with it.
    modules = {path.name: path.read_text() for path in (folder.parent / "static/web").glob("*.js")}
    for page in folder.rglob("*.html"):
        text = page.read_text()
        if "{% extends" in text and re.search(r"\binert\b", text):
            assert "dom.js" in reached(re.findall(r"type=\"module\" src=\"{% static 'web/(.+?)'", text), modules), page


def test_a_link_to_the_api_is_a_download() -> None:
    """Followed as a page it would stop what is still loading, scripts too, and then not take the page's place."""
    pages = (Path(vouch.web.__file__).parent / "templates").rglob("*.html")
    links = [link for page in pages for link in re.findall(r"<a\b[^<]*\bhref=\"/api/v1/[^<]*>", page.read_text())]
    assert len(links) > 10
    assert [link for link in links if not re.search(r"\sdownload[ =>]", link)] == []


def reached(names: list[str], modules: dict[str, str]) -> set[str]:
    """These modules and all that they import."""
    found: set[str] = set()
    while names:
        name = names.pop()
        if name not in found:
            found.add(name)
            names += re.findall(r'from "\./(.+?)"', modules.get(name, ""))
    return found


def test_a_voice_offers_the_languages_that_consent_and_licence_allow(person, sign_in):
    owner = person()

    def offered(client: Client, voice: object) -> list[list[str]]:
        pages = [client.get(f"/voices/{voice.id}{page}").content.decode() for page in ("", "/batch")]
        chosen = [page.partition('<select id="language"')[2].partition("</select>")[0] for page in pages]
        return [re.findall(r'<option value="(\w+)"', one) for one in chosen]

    plain = make.voice(owner, make.consent(owner), name="English")
    both = make.voice(owner, make.consent(owner, languages=["zh", "en"], uses=ACROSS), name="Both")
    mine = sign_in(owner)
    assert offered(mine, plain) == [["en"], ["en"]]
    assert offered(mine, both) == [["en", "zh"], ["en", "zh"]]
    assert "renew it" in mine.get(f"/voices/{plain.id}").content.decode()
    assert "renew it" not in mine.get(f"/voices/{both.id}").content.decode()
    # A licence must name that the voice speaks another language than its own.
    for uses, languages in ([], ["en"]), (["cross_lingual"], ["en", "zh"]):
        customer = person()
        make.licence(both.consent, customer, scope={"uses": uses} if uses else {"languages": ["en"]})
        assert offered(sign_in(customer), both) == [languages, languages]


ENGLISH = re.compile(r"(?:[A-Za-z][a-z’']+[ ,]+){2,}[a-z’']+")
"""Three words in a row: a sentence, no name and no code."""


def test_nobody_reads_english_on_a_chinese_page(person, held_case, sign_in):
    found = {}
    signed_in = lambda someone: in_chinese(sign_in(someone))  # noqa: E731
    for path, answer in all_pages(person, held_case, signed_in, lambda: in_chinese(Client())):
        body = answer.content.decode()
        assert '<html lang="zh-hans">' in body, path
        said = re.sub(r"<code.*?</code>|<pre.*?</pre>", "", body.partition("<body")[2], flags=re.DOTALL)
        said = "|".join(
            re.split(r"<[^>]*>", said) + re.findall(r'(?:aria-label|title|placeholder|alt)="([^"]*)"', said)
        )
        # A case shows what was to be spoken, and the rule in the words of its pack.
        if (english := ENGLISH.findall(said)) and path != f"/desk/{held_case.id}":
            found[path] = english
    assert found == {}


def in_chinese(client: Client) -> Client:
    client.cookies["django_language"] = "zh-hans"
    return client
