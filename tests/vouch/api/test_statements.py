"""An owner's statements over HTTP; and who may not."""

import io

import pytest

from foundation import keys
from foundation.clock import now
from foundation.identity.actors import Actor
from marketplace import tasks
from marketplace.statements import jobs, sources, verify
from marketplace.statements.models import Statement, StatementJob
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


def test_a_large_month_is_a_job_that_says_how_far_it_is(api, person, month: Month, monkeypatch):  # noqa: F811
    monkeypatch.setattr(jobs, "AT_ONCE", 6)
    monkeypatch.setattr(sources, "STEP", 2)
    owner, body = api(month.owner), {"period": month.period}
    asked = owner.post("statement-files", json=body)
    job = asked.json()
    assert (asked.status_code, job["state"], job["uses"], job["done"]) == (202, "queued", 7, 0)
    assert owner.post("statement-files", json=body).json()["id"] == job["id"]
    path = f"statement-jobs/{job['id']}"
    for who in (month.customer, person()):
        assert api(who).get(path).status_code == 404
    assert api(None).get(path).status_code == 401
    assert not Statement.objects.exists()
    seen = []
    read = sources.uses
    monkeypatch.setattr(
        sources, "uses", lambda between, **asked: read(**asked, between=lambda done: seen.append(told(between, done)))
    )

    def told(between, done):
        between(done)
        return owner.get(path).json()["done"]

    tasks.make_statement.run(job["id"])
    assert seen == [0, 2, 4, 6]
    tasks.make_statement.run(job["id"])
    done = owner.get(path).json()
    assert (done["state"], done["done"], done["statement"]) == ("done", 7, str(Statement.objects.get().id))
    # It says what a new one would: nobody computes it again.
    assert owner.post("statement-files", json=body).status_code == 201


def test_a_job_whose_worker_died_is_taken_again_and_one_that_fails_says_why(month: Month, monkeypatch):  # noqa: F811
    monkeypatch.setattr(jobs, "AT_ONCE", 6)
    job = jobs.ask(actor=Actor.of(month.owner), period=month.period)
    assert jobs.unfinished() == []
    StatementJob.objects.update(state="running", beat_at=now() - jobs.LEASE, made_at=now() - jobs.LEASE)
    assert jobs.unfinished() == [job.id]
    StatementJob.objects.update(currency="JPY")
    assert jobs.run(job_id=job.id)
    assert not jobs.run(job_id=job.id)
    assert (StatementJob.objects.get().state, StatementJob.objects.get().error) == ("failed", "rates_missing")


@pytest.mark.parametrize("body", [{}, {"period": "2026"}, {"period": "2026-13"}, {"period": 5, "currency": "EUR"},
                                  {"period": "2026-11", "currency": "XXX"}])  # fmt: skip
def test_bad_fields_are_refused(api, month: Month, body):  # noqa: F811
    answer = api(month.owner).post("statement-files", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
    assert not Statement.objects.exists()


def test_a_month_to_come_is_refused_by_name(api, month: Month):  # noqa: F811
    answer = api(month.owner).post("statement-files", json={"period": "2999-01"})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_period")
