"""An owner's statements over HTTP; and who may not."""

import io

import pytest

from foundation import keys
from marketplace.statements import verify
from marketplace.statements.models import Statement
from tests.marketplace.statements.conftest import Month, month  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


def test_an_owner_makes_downloads_and_verifies_a_statement(api, month: Month):  # noqa: F811
    owner = api(month.owner)
    made = owner.post("statement-files", json={"period": month.period})
    assert (made.status_code, made.json()["uses"], made.json()["final"]) == (201, 7, False)
    assert owner.post("statement-files", json={"period": month.period}).json() == made.json()
    assert owner.get("statement-files").json() == [made.json()]
    answer = owner.get(f"statement-files/{made.json()['id']}")
    assert answer["Content-Type"] == "application/jsonl"
    found = verify.check(io.BytesIO(b"".join(answer.streaming_content)), keys.public_key("log"))
    assert found.summary["totals"] == made.json()["totals"]


def test_nobody_else_sees_or_makes_it(api, person, month: Month):  # noqa: F811
    made = api(month.owner).post("statement-files", json={"period": month.period}).json()["id"]
    for who in (month.customer, person(), person(role="moderator")):
        assert api(who).get(f"statement-files/{made}").status_code in (403, 404)
        assert api(who).post("statement-files", json={"period": month.period}).status_code in (403, 404)
    assert api(month.customer).get("statement-files").json() == []
    for call in (api(None).get("statement-files"), api(None).get(f"statement-files/{made}")):
        assert call.status_code == 401
    assert api(month.owner, ["market:read"]).post("statement-files", json={"period": month.period}).status_code == 403
    assert Statement.objects.count() == 1


@pytest.mark.parametrize("body", [{}, {"period": "2026"}, {"period": "2026-13"}, {"period": 5, "currency": "EUR"},
                                  {"period": "2026-11", "currency": "XXX"}])  # fmt: skip
def test_bad_fields_are_refused(api, month: Month, body):  # noqa: F811
    answer = api(month.owner).post("statement-files", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
    assert not Statement.objects.exists()


def test_a_month_to_come_is_refused_by_name(api, month: Month):  # noqa: F811
    answer = api(month.owner).post("statement-files", json={"period": "2999-01"})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_period")
