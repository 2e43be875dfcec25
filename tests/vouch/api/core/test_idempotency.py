"""The same key, person and body: one act, one answer."""

import threading

import pytest
from django.db import connection
from django.urls import path
from rest_framework.response import Response

from vouch.api.core import ApiView
from vouch.api.models import IdempotentAnswer

done: list[str] = []


class Act(ApiView):
    idempotent = True

    def post(self, request):
        done.append(str(request.user.pk))
        if request.data.get("fail"):
            raise RuntimeError("broken on the way")
        return Response({"number": len(done)}, status=201)


urlpatterns = [path("api/v1/act", Act.as_view())]


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
