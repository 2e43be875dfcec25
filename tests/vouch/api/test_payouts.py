"""Payouts over HTTP; and who may not."""

import pytest

from marketplace.payouts.models import PayoutAccount, PayoutBatch
from tests.marketplace.payouts.test_payouts import IBAN, payable  # noqa: F401 - a fixture
from tests.marketplace.statements.conftest import month  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db
BODY = {"name": "=Sam", "iban": IBAN, "bic": "", "currency": "EUR"}


def test_an_owner_says_where_and_an_operator_sends(api, payable):  # noqa: F811
    owner, operator = api(payable.owner), api_of_operator(api, payable)
    assert owner.get("payout-account").status_code == 404
    assert owner.put("payout-account", json=BODY).json() == BODY
    made = operator.post("payout-files").json()
    assert (made["number"], made["transfers"], operator.get("payout-files").json()) == (1, 1, [made])
    table, message = operator.get("payout-files/1/csv"), operator.get("payout-files/1/xml")
    assert (table["Content-Type"], message["Content-Type"]) == ("text/csv; charset=utf-8", "application/xml")
    assert b'"\'=Sam"' in table.content
    assert b"pain.001.001.09" in message.content
    (sent,) = owner.get("payouts/mine").json()
    assert (sent["reference"], sent["iban_end"]) == ("VOUCH-1-1", IBAN[-4:])
    assert operator.get("payout-files/1/exe").status_code == 404
    assert operator.get("payout-files/2/csv").status_code == 404


def api_of_operator(api, payable):  # noqa: F811
    from foundation.identity.models import Person

    return api(Person.objects.get(id=payable.operator.person_id))


def test_nobody_else_makes_or_reads_a_file(api, person, payable):  # noqa: F811
    api(payable.owner).put("payout-account", json=BODY)
    for who in (payable.owner, payable.customer, person(role="moderator"), person(role="auditor")):
        assert api(who).post("payout-files").status_code == 403
        for door in ("payout-files", "payout-files/1/csv", "payout-files/1/xml"):
            assert api(who).get(door).status_code == 403
    for door in ("payout-account", "payouts/mine", "payout-files"):
        assert api(None).get(door).status_code == 401
    assert api(payable.customer).get("payouts/mine").json() == []
    assert api(payable.owner, ["market:read"]).put("payout-account", json=BODY).status_code == 403
    assert (PayoutBatch.objects.count(), PayoutAccount.objects.count()) == (0, 1)


@pytest.mark.parametrize(
    ("change", "code"),
    [({"iban": "DE00"}, "bad_account"), ({"bic": "x"}, "bad_account"), ({"currency": "XXX"}, "invalid_fields"),
     ({"name": ""}, "invalid_fields"), ({"iban": "x" * 43}, "invalid_fields")],
)  # fmt: skip
def test_a_bad_account_is_refused_by_name(api, person, change, code):
    answer = api(person()).put("payout-account", json={**BODY, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert not PayoutAccount.objects.exists()
