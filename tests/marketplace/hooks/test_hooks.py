"""A customer's server is told what happens: signed, once, again while it does not answer, and nowhere else."""

import json
from datetime import timedelta

import httpx
import pytest

from foundation import clock
from foundation.errors import NotFound
from foundation.identity.actors import Actor, MissingScope
from marketplace import services, tasks
from marketplace.hooks import errors, selectors
from marketplace.hooks import services as hooks
from marketplace.hooks.models import Delivery, Endpoint
from marketplace.payments import signing
from tests.marketplace.factories import heard, ready_voice

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.org/vouch?x=1"
TERMS = {"title": "A calm voice", "price_minor": 199, "currency": "EUR", "languages": ["en"], "licence_days": 30}
ADDRESS = "93.184.216.34"


class Server:
    """The customer's server: answers what it is told to, and keeps what it got."""

    def __init__(self, *statuses, location=""):
        self.statuses, self.got, self.location = list(statuses), [], location

    def __call__(self, request):
        self.got.append(request)
        status = self.statuses.pop(0) if self.statuses else 200
        if isinstance(status, Exception):
            raise status
        headers = {"Location": self.location} if self.location else {}
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(b"x" * 9_999))

    def attempt(self, delivery, resolve=lambda _: [ADDRESS]):
        return hooks.deliver(delivery_id=delivery.id, resolve=resolve, transport=httpx.MockTransport(self))


@pytest.fixture
def customer(person):
    return person()


@pytest.fixture
def endpoint(customer):
    return hooks.add_endpoint(actor=Actor.of(customer), url=URL, kinds=["order.placed", "order.cancelled"])


@pytest.fixture
def delivery(person, customer, endpoint):
    owner = person()
    listing = heard(services.create_listing(actor=Actor.of(owner), voice_id=ready_voice(owner).id, **TERMS))
    services.place_order(actor=Actor.of(customer), listing_id=listing.id, characters=10_000)
    return Delivery.objects.get()


def later(span):
    clock.move_forward(span)


def test_an_event_is_written_with_the_act_and_signed_when_it_is_sent(customer, endpoint, delivery):
    server = Server()
    assert server.attempt(delivery) == "delivered"
    (sent,) = server.got
    assert (str(sent.url), sent.headers["host"]) == (f"https://{ADDRESS}/vouch?x=1", "hooks.example.org")
    assert sent.extensions["sni_hostname"] == "hooks.example.org"
    now = int(clock.now().timestamp())
    signing.check(sent.content, sent.headers["Vouch-Signature"], hooks.secret_of(endpoint), now)
    body = json.loads(sent.content)
    assert (body["kind"], body["data"]["amount_minor"], body["data"]["state"]) == ("order.placed", 1_990, "placed")
    assert str(customer.id) not in sent.content.decode()
    assert "email" not in sent.content.decode()


def test_a_recorded_call_cannot_be_played_again_later(endpoint, delivery):
    server = Server()
    server.attempt(delivery)
    (sent,) = server.got
    with pytest.raises(signing.BadSignature):
        signing.check(
            sent.content, sent.headers["Vouch-Signature"], hooks.secret_of(endpoint),
            int(clock.now().timestamp()) + signing.TOLERANCE + 1,
        )  # fmt: skip


def test_each_attempt_is_signed_anew_and_names_the_same_event(delivery):
    server = Server(500, 200)
    assert server.attempt(delivery) == "again"
    assert server.attempt(delivery) == "not_due"
    later(hooks.pause(1, hooks.JITTER))
    assert hooks.due() == [delivery.id]
    assert server.attempt(delivery) == "delivered"
    first, second = server.got
    assert first.headers["Vouch-Event"] == second.headers["Vouch-Event"] == str(delivery.id)
    assert first.headers["Vouch-Signature"] != second.headers["Vouch-Signature"]
    assert first.content == second.content


def test_a_server_that_never_answers_is_given_up_after_nine_attempts(delivery):
    server = Server(*[httpx.ConnectError("no")] * 20)
    outcomes = []
    for attempt in range(1, 12):
        outcomes.append(server.attempt(delivery))
        later(hooks.pause(attempt, hooks.JITTER))
    assert outcomes == ["again"] * 8 + ["failed"] + ["not_due"] * 2
    delivery.refresh_from_db()
    assert (delivery.state, delivery.last_error, len(server.got)) == ("failed", "ConnectError", 9)
    assert sum((hooks.pause(n, 0) for n in range(1, 9)), timedelta()) > timedelta(hours=20)


def test_a_task_that_runs_twice_sends_once(delivery):
    server = Server()
    assert [server.attempt(delivery) for _ in range(3)] == ["delivered", "not_due", "not_due"]
    assert len(server.got) == 1


def test_a_worker_that_died_leaves_the_delivery_to_another(delivery):
    claimed = hooks._claim(delivery.id)
    assert claimed is not None
    server = Server()
    assert (server.attempt(delivery), hooks.due()) == ("not_due", [])
    later(hooks.LEASE)
    assert hooks.due() == [delivery.id]
    assert server.attempt(delivery) == "delivered"
    # What the dead one had to say comes too late.
    assert hooks._settle(delivery.id, claimed[1], hooks.sender.Answer(500)) == "late"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(delivery, status):
    server = Server(status, location="https://169.254.169.254/")
    assert server.attempt(delivery) == "again"
    assert len(server.got) == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "10.0.0.7"])
def test_a_name_that_came_to_lead_inside_gets_nothing(delivery, address):
    """The name was public when the webhook was added; it is looked at again at every attempt."""
    server = Server()
    assert server.attempt(delivery, resolve=lambda _: [address]) == "again"
    delivery.refresh_from_db()
    assert (server.got, "not public" in delivery.last_error) == ([], True)


def test_an_endpoint_that_keeps_failing_is_ended_and_told_nothing_more(customer, endpoint, delivery):
    Endpoint.objects.update(failures=hooks.MAX_FAILURES - 1)
    Delivery.objects.update(attempts=hooks.MAX_ATTEMPTS - 1)
    assert Server(500).attempt(delivery) == "failed"
    endpoint.refresh_from_db()
    assert (endpoint.ended_reason, endpoint.ended_at is not None) == ("failing", True)
    hooks.tell(people=[customer.id], event="order.placed", key="x", data={})
    assert Delivery.objects.count() == 1


def test_an_ended_endpoint_gets_nothing_that_still_waited(customer, endpoint, delivery):
    hooks.end_endpoint(actor=Actor.of(customer), endpoint_id=endpoint.id)
    hooks.end_endpoint(actor=Actor.of(customer), endpoint_id=endpoint.id)
    server = Server()
    assert (server.attempt(delivery), server.got) == ("not_due", [])
    delivery.refresh_from_db()
    assert delivery.state == "failed"


def test_the_same_event_is_told_once_and_only_to_who_asked(customer, endpoint, delivery, person):
    hooks.tell(people=[customer.id], event="order.cancelled", key="1", data={})
    hooks.tell(people=[customer.id], event="order.cancelled", key="1", data={})
    hooks.tell(people=[customer.id], event="order.paid", key="1", data={})
    hooks.tell(people=[person().id], event="order.cancelled", key="1", data={})
    assert Delivery.objects.count() == 2


def test_what_is_due_is_handed_out(delivery, monkeypatch, django_capture_on_commit_callbacks):
    sent = []
    monkeypatch.setattr("marketplace.sending.deliver", lambda task, argument: sent.append((task, argument)))
    with django_capture_on_commit_callbacks(execute=True):
        assert tasks.deliver_webhooks.run() == 1
    assert sent == [("marketplace.deliver_webhook", str(delivery.id))]


@pytest.mark.parametrize(
    "url", ["http://example.org/", "https://127.0.0.1/", "https://localhost/x", "https://a.internal/"]
)
def test_a_bad_address_is_refused_when_it_is_added(customer, url):
    with pytest.raises(errors.BadAddress):
        hooks.add_endpoint(actor=Actor.of(customer), url=url, kinds=["order.paid"])
    assert not Endpoint.objects.exists()


def test_unknown_events_and_too_many_endpoints_are_refused(customer):
    for kinds in ([], ["order.paid", "everything"]):
        with pytest.raises(errors.UnknownEvent):
            hooks.add_endpoint(actor=Actor.of(customer), url=URL, kinds=kinds)
    for _ in range(hooks.MAX_ENDPOINTS):
        hooks.add_endpoint(actor=Actor.of(customer), url=URL, kinds=["order.paid"])
    with pytest.raises(errors.TooManyEndpoints):
        hooks.add_endpoint(actor=Actor.of(customer), url=URL, kinds=["order.paid"])
    secrets = {hooks.secret_of(one) for one in Endpoint.objects.all()}
    assert len(secrets) == hooks.MAX_ENDPOINTS


def test_nobody_touches_or_sees_anothers(customer, endpoint, delivery, person):
    stranger = Actor.of(person())
    with pytest.raises(NotFound):
        hooks.end_endpoint(actor=stranger, endpoint_id=endpoint.id)
    with pytest.raises(NotFound):
        selectors.deliveries_of(actor=stranger, endpoint_id=endpoint.id)
    with pytest.raises(MissingScope):
        hooks.add_endpoint(actor=Actor.of(customer, frozenset({"market:read"})), url=URL, kinds=["order.paid"])
    endpoint.refresh_from_db()
    assert (endpoint.ended_at, list(selectors.endpoints_of(actor=stranger))) == (None, [])
