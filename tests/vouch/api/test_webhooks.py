"""Webhooks over HTTP; and who may not."""

import pytest

from marketplace.hooks.models import Endpoint

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


def test_nobody_else_sees_or_ends_it(api, person):
    made = api(person()).post("webhooks", json=BODY).json()["id"]
    other = api(person())
    assert other.get("webhooks").json() == []
    assert other.get(f"webhooks/{made}/deliveries").status_code == 404
    assert other.post(f"webhooks/{made}/end").status_code == 404
    for door in ("webhooks", f"webhooks/{made}/deliveries"):
        assert api(None).get(door).status_code == 401
    assert api(person(), ["market:read"]).post("webhooks", json=BODY).status_code == 403
    assert Endpoint.objects.get().ended_at is None


@pytest.mark.parametrize(
    ("change", "code"),
    [({"url": "http://example.org/"}, "bad_webhook_address"), ({"url": "https://10.0.0.1/"}, "bad_webhook_address"),
     ({"kinds": ["all"]}, "invalid_fields"), ({"kinds": []}, "invalid_fields"), ({"url": "x" * 501}, "invalid_fields")],
)  # fmt: skip
def test_bad_fields_are_refused_by_name(api, person, change, code):
    answer = api(person()).post("webhooks", json={**BODY, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert not Endpoint.objects.exists()
