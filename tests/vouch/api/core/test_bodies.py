"""Bodies are bounded before they are read, and read in pieces."""

import io
import tracemalloc

import pytest
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory

from vouch.api.core import ApiView, stream_body
from vouch.api.core.bodies import BodyCutShort

LIMIT = 300_000


class Take(ApiView):
    public = True

    def put(self, request):
        sizes = [len(piece) for piece in stream_body(request, max_bytes=LIMIT)]
        return Response({"total": sum(sizes), "largest": max(sizes, default=0)})


urlpatterns = [path("api/v1/take", Take.as_view())]


@pytest.fixture(autouse=True)
def own_urls(settings, db):
    settings.ROOT_URLCONF = __name__


def test_a_body_within_the_bound_arrives_whole_in_pieces(api):
    answer = api(None).put("take", content=b"x" * LIMIT).json()
    assert answer["total"] == LIMIT
    assert answer["largest"] <= 64 * 1024


def test_one_byte_over_the_bound_is_refused(api):
    answer = api(None).put("take", content=b"x" * (LIMIT + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_two_gigabytes_are_refused_by_their_announcement_alone(client):
    tracemalloc.start()
    answer = client.generic("PUT", "/api/v1/take", b"", "application/octet-stream", CONTENT_LENGTH=str(2 * 1024**3))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert peak < 5_000_000


def test_a_body_of_unknown_length_is_refused(client):
    answer = client.generic("PUT", "/api/v1/take", b"", "application/octet-stream", CONTENT_LENGTH="")
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")


def test_a_body_that_ends_early_is_named():
    """Django's test client cannot hang up half-way, so the request is built on a short stream by hand."""
    request = APIRequestFactory().put("/api/v1/take", b"", content_type="application/octet-stream")
    request.META["CONTENT_LENGTH"] = "20"
    request._stream = io.BytesIO(b"x" * 10)
    with pytest.raises(BodyCutShort, match="10 of 20"):
        list(stream_body(Request(request), max_bytes=LIMIT))


def test_files_in_forms_are_refused(client):
    from django.core.files.uploadedfile import SimpleUploadedFile

    answer = client.put("/api/v1/take", data={"f": SimpleUploadedFile("a.wav", b"RIFF")})
    assert answer.status_code in {200, 413}
    assert not hasattr(answer.wsgi_request, "_files") or not answer.wsgi_request.FILES
