"""The same key, person and body: one act, one answer."""

import hashlib
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from django.db import connection
from django.urls import path
from rest_framework.response import Response

from foundation.clock import now
from vouch.api.core import ApiView
from vouch.api.models import IdempotentAnswer

done: list[str] = []


class Act(ApiView):
    def post(self, request):
        done.append(str(request.user.pk))
        if request.data.get("fail"):
            raise RuntimeError("broken on the way")
        return Response({"number": len(done)}, status=201)


class Told(ApiView):
    def post(self, request):
        done.append("told")
        return Response(status=204)


urlpatterns = [path("api/v1/act", Act.as_view()), path("api/v1/told", Told.as_view())]


@pytest.fixture(autouse=True)
def own_urls(settings):
    settings.ROOT_URLCONF = __name__
    done.clear()


@pytest.mark.django_db
def test_without_a_key_every_request_acts(api, person):
    client = api(person())
    assert [client.post("act").json()["number"] for _ in range(2)] == [1, 2]


@pytest.mark.django_db
def test_a_repeated_key_gets_the_stored_answer(api, person):
    client = api(person())
    first, second = (client.post("act", {"a": 1}, Idempotency_Key="k") for _ in range(2))
    assert first.json() == second.json() == {"number": 1}
    assert second.status_code == 201
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(done) == 1


@pytest.mark.django_db
def test_an_answer_without_a_body_is_repeated_too(api, person):
    client = api(person())
    first, second = (client.post("told", Idempotency_Key="k") for _ in range(2))
    assert (first.status_code, second.status_code, second.content) == (204, 204, b"")
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(done) == 1


@pytest.mark.django_db
def test_what_is_kept_of_a_body_tells_nobody_without_our_secret_what_stood_in_it(api, person):
    api(person()).post("act", {"password": "x"}, Idempotency_Key="k")
    plain = hashlib.sha256(b"\0".join([b"POST", b"/api/v1/act", b'{"password": "x"}'])).hexdigest()
    assert IdempotentAnswer.objects.get().fingerprint != plain


@pytest.mark.django_db
def test_a_key_with_another_body_is_refused(api, person):
    client = api(person())
    client.post("act", {"a": 1}, Idempotency_Key="k")
    other = client.post("act", {"a": 2}, Idempotency_Key="k")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(done) == 1


@pytest.mark.django_db
def test_two_people_may_use_the_same_key(api, person):
    assert api(person()).post("act", Idempotency_Key="k").json() == {"number": 1}
    assert api(person()).post("act", Idempotency_Key="k").json() == {"number": 2}


@pytest.mark.django_db
def test_a_request_that_broke_may_be_repeated(api, person):
    client = api(person())
    for _ in range(2):
        answer = client.post("act", {"fail": 1}, Idempotency_Key="k")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert not IdempotentAnswer.objects.exists()
    assert len(done) == 2


@pytest.mark.django_db
def test_a_secret_is_shown_once_and_kept_nowhere(api, person, settings):
    settings.ROOT_URLCONF = "vouch.urls"
    client = api(person())
    body = {"name": "again", "scopes": ["speak"]}
    first, second = (client.post("keys", body, Idempotency_Key="k") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["key"].startswith(first.json()["begins"])
    assert second.json() == {name: value for name, value in first.json().items() if name != "key"}
    assert first.json()["key"] not in str(IdempotentAnswer.objects.get().body)


@pytest.mark.django_db
def test_sound_is_compared_by_its_length_and_not_read_again(api, person, settings):
    from cloning.models import TraceJob

    settings.ROOT_URLCONF = "vouch.urls"
    client = api(person())
    first, second = (client.post("trace", content=b"RIFF" * 9, Idempotency_Key="k") for _ in range(2))
    assert (first.status_code, second.json()) == (202, first.json())
    assert TraceJob.objects.count() == 1
    other = client.post("trace", content=b"RIFF" * 10, Idempotency_Key="k")
    assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.django_db
def test_what_died_on_the_way_is_taken_over_but_nothing_that_may_still_be_coming_in(api, person, settings):
    from cloning.models import TraceJob

    client = api(person())

    def aged(minutes: float) -> None:
        IdempotentAnswer.objects.update(status=None, created_at=now() - timedelta(minutes=minutes))

    client.post("act", Idempotency_Key="k")
    aged(0.5)
    again = client.post("act", Idempotency_Key="k")
    assert (again.status_code, again.json()["code"], len(done)) == (409, "idempotency_in_progress", 1)
    aged(1.5)
    assert client.post("act", Idempotency_Key="k").status_code == 201
    assert len(done) == 2
    IdempotentAnswer.objects.all().delete()
    settings.ROOT_URLCONF = "vouch.urls"
    client.post("trace", content=b"RIFF" * 9, Idempotency_Key="k")
    aged(10.5)  # sound may take ten minutes to arrive
    assert client.post("trace", content=b"RIFF" * 9, Idempotency_Key="k").json()["code"] == "idempotency_in_progress"
    aged(11.5)
    assert client.post("trace", content=b"RIFF" * 9, Idempotency_Key="k").status_code == 202
    assert TraceJob.objects.count() == 2


@pytest.mark.django_db
def test_answers_are_forgotten_after_a_day(api, person):
    from vouch.api import tasks

    client = api(person())
    client.post("act", Idempotency_Key="old")
    IdempotentAnswer.objects.update(created_at=IdempotentAnswer.objects.get().created_at - timedelta(hours=25))
    client.post("act", Idempotency_Key="new")
    assert tasks.forget_answers() == 1
    assert IdempotentAnswer.objects.get().key == "new"


WITHOUT_KEY = {
    "/control",
    "/api/v1/batches/preview", "/api/v1/me/erase", "/api/v1/payments/events/{provider}",
    "/api/v1/second-factor/confirm", "/api/v1/step-up", "/api/v1/step-up/passkey", "/api/v1/step-up/passkey/challenge",
}  # fmt: skip
"""What makes nothing or is always refused, marks a session, or ends whoever asks."""


def test_every_post_takes_a_key():
    paths = yaml.load(Path("docs/openapi.yaml").read_text(), yaml.CSafeLoader)["paths"]
    keyless = {
        path for path, found in paths.items()
        if "post" in found
        and "Idempotency-Key" not in {one["name"] for one in found["post"].get("parameters", [])}
    }  # fmt: skip
    assert keyless == WITHOUT_KEY


@pytest.mark.django_db(transaction=True)
def test_a_race_acts_once(api, person):
    client = api(person())
    answers = []

    def go() -> None:
        answers.append(client.post("act", {"a": 1}, Idempotency_Key="race").status_code)
        connection.close()

    threads = [threading.Thread(target=go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1
    assert set(answers) <= {201, 409}
    assert 201 in answers
