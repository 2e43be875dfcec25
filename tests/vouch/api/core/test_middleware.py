"""Every answer has a request id; under /api/v1/ every refusal is a problem with a code, whoever refused."""

import re
from pathlib import Path

import pytest

from vouch import problems

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/nowhere", "/sign-in", "/nowhere", "/static/none.css"])
def test_a_well_formed_id_of_the_clients_is_kept_and_any_other_is_replaced(client, path) -> None:
    assert client.get(path, headers={"X-Request-Id": "order-7.of_2026"})["X-Request-Id"] == "order-7.of_2026"
    for odd in ("short", "a" * 65, "with space", "new\u2028line", "<script>alert(1)</script>", "-begins-odd"):
        assert re.fullmatch(r"[0-9a-f]{16}", client.get(path, headers={"X-Request-Id": odd})["X-Request-Id"])
    assert client.get(path)["X-Request-Id"] != client.get(path)["X-Request-Id"]


def test_a_problem_names_its_request(client) -> None:
    answer = client.get("/api/v1/me", headers={"X-Request-Id": "request-1"})
    assert (answer.status_code, answer.json()["request_id"]) == (401, "request-1")


def test_what_django_refuses_is_a_problem_too(client, settings, api, person) -> None:
    for path, status, code in (("/api/v1/nowhere", 404, "not_found"), ("/api/v1/jobs/not-an-id", 404, "not_found")):
        answer = client.get(path)
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
        assert answer.json()["code"] == code
        assert answer.json()["request_id"] == answer["X-Request-Id"]
    foreign = client.get("/api/v1/me", headers={"host": "elsewhere.example"})
    assert (foreign.status_code, foreign.json()["code"]) == (400, "bad_request")
    assert client.get("/nowhere")["Content-Type"].startswith("text/html")  # people keep their pages
    wrong = api(person()).client.delete("/api/v1/me", headers=api(person()).headers)
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")


def test_answers_of_the_api_vary_by_no_language_and_are_kept_by_nobody(client) -> None:
    answer = client.get("/api/v1/me", headers={"Accept-Language": "zh-hans"})
    assert "accept-language" not in answer.get("Vary", "").lower()
    assert answer["Cache-Control"] == "no-store"
    assert "accept-language" in client.get("/sign-in")["Vary"].lower()


def test_the_table_of_codes_is_what_the_code_says() -> None:
    page = Path("docs/api.md").read_text()
    assert problems.written_into(page) == page, "run `make schema` and read the difference"
    known = {one.code: one.statuses for one in problems.catalogue()}
    assert known["not_found"] == (404,)
    assert known["clock_out_of_range"] == (422,)  # said where it is raised, not by a class of its own
    assert len(known) > 200
    with pytest.raises(ValueError, match="no place"):
        problems.written_into("# Another page")
