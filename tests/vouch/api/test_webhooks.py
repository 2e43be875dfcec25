"""Webhooks over HTTP; and who may not."""

from datetime import timedelta

import pytest

from foundation.audit.models import Leaf
from foundation.clock import move_forward, now
from marketplace.hooks import services as hooks
from marketplace.hooks.models import Endpoint
from marketplace.payments import signing

pytestmark = pytest.mark.django_db
BODY = {"url": "https://hooks.example.org/vouch", "kinds": ["order.paid"]}


def test_a_secret_is_shown_once(api, person):
    own = api(person())
    made = own.post("webhooks", json=BODY)
    assert (made.status_code, made.json()["secret"][:4]) == (201, "vwh_")
    (shown,) = own.get("webhooks").json()
    assert (shown["id"], "secret" in shown) == (made.json()["id"], False)
    assert own.get(f"webhooks/{shown['id']}/deliveries").json() == []
    assert own.post(f"webhooks/{shown['id']}/end").json()["ended_at"] is not None
    assert own.get("webhooks").json() == []


def test_a_secret_is_replaced_and_the_former_signs_for_a_day_more(api, person):
    own, key = api(person()), "webhooks"
    first = own.post(key, json=BODY).json()
    second = own.post(f"{key}/{first['id']}/secret")
    assert (second.status_code, second.json()["secret"] != first["secret"]) == (201, True)
    endpoint = Endpoint.objects.get()
    assert (hooks.secret_of(endpoint), hooks.former_secrets_of(endpoint)) == (
        second.json()["secret"],
        [first["secret"]],
    )
    at = int(now().timestamp())
    header = signing.sign(b"{}", hooks.secret_of(endpoint), at, *hooks.former_secrets_of(endpoint))
    for secret in (first["secret"], second.json()["secret"]):
        signing.check(b"{}", header, secret, at)
    with pytest.raises(signing.BadSignature):
        signing.check(b"{}", header, "vwh_other", at)
    move_forward(timedelta(hours=25))
    assert hooks.former_secrets_of(endpoint) == []
    third = own.post(f"{key}/{first['id']}/secret").json()["secret"]
    endpoint.refresh_from_db()
    assert hooks.former_secrets_of(endpoint) == [second.json()["secret"]]
    assert hooks.secret_of(endpoint) == third
    assert Leaf.objects.filter(kind="webhook.secret_rotated").count() == 2
    own.post(f"{key}/{first['id']}/end")
    assert own.post(f"{key}/{first['id']}/secret").status_code == 404


def test_nobody_else_sees_or_ends_it(api, person):
    made = api(person()).post("webhooks", json=BODY).json()["id"]
    salt = Endpoint.objects.get().salt
    other = api(person())
    assert other.get("webhooks").json() == []
    assert other.get(f"webhooks/{made}/deliveries").status_code == 404
    assert other.post(f"webhooks/{made}/end").status_code == 404
    assert other.post(f"webhooks/{made}/secret").status_code == 404
    assert api(None).post(f"webhooks/{made}/secret").status_code == 401
    for door in ("webhooks", f"webhooks/{made}/deliveries"):
        assert api(None).get(door).status_code == 401
    assert api(person(), ["market:read"]).post("webhooks", json=BODY).status_code == 403
    assert Endpoint.objects.get().ended_at is None
    assert Endpoint.objects.get().salt == salt


@pytest.mark.parametrize(
    ("change", "code"),
    [({"url": "http://example.org/"}, "bad_webhook_address"), ({"url": "https://10.0.0.1/"}, "bad_webhook_address"),
     ({"kinds": ["all"]}, "invalid_fields"), ({"kinds": []}, "invalid_fields"), ({"url": "x" * 501}, "invalid_fields")],
)  # fmt: skip
def test_bad_fields_are_refused_by_name(api, person, change, code):
    answer = api(person()).post("webhooks", json={**BODY, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert not Endpoint.objects.exists()
