"""Reviews by hand: a representative with documents, the way without biometrics; and the two moderators who decide."""

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from consent import reviews, selectors, unmeasured
from consent.models import MAX_TRANSCRIPT
from consent.review_models import NAME_CHARS, STATEMENT_CHARS, ReviewKind, Standing
from foundation.identity.actors import Actor
from safety import views_log
from vouch.api.ceremony import RecordingView
from vouch.api.core import ApiView, checked, stream_body
from vouch.api.core.paging import linked, listed, page, paged


class NewReview(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=ReviewKind.values)
    standing = serializers.ChoiceField(choices=Standing.values, help_text="By what right you act.")
    speaker = serializers.ChoiceField(
        choices=reviews.SPEAKERS, help_text="Whose voice it is. Children and the dead are refused."
    )
    speaker_name = serializers.CharField(max_length=NAME_CHARS)
    statement = serializers.CharField(max_length=STATEMENT_CHARS)


class ReviewView(serializers.Serializer[Any]):
    """A review as its asker sees it: who decided is not shown."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    standing = serializers.CharField()
    speaker_name = serializers.CharField()
    statement = serializers.CharField()
    state = serializers.CharField()
    opened_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    usable_until = serializers.DateTimeField(allow_null=True)
    approvals = serializers.IntegerField(source="approval_count")


class DocumentView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    media_type = serializers.CharField()
    size = serializers.IntegerField(source="custody.size")
    deadline = serializers.DateTimeField(source="custody.deadline")


class ReviewCase(ReviewView):
    """A review as the moderators who decide see it."""

    documents = DocumentView(many=True)
    voted = serializers.BooleanField(help_text="Have you said your word already?")


class NewVote(serializers.Serializer[Any]):
    approve = serializers.BooleanField()
    reason = serializers.CharField(max_length=STATEMENT_CHARS)


class NewReviewRecording(serializers.Serializer[Any]):
    language = serializers.CharField(max_length=8)
    transcript = serializers.CharField(max_length=MAX_TRANSCRIPT)


class Reviews(ApiView):
    scopes: ClassVar = {"GET": "consent:read", "POST": "consent:write"}

    @listed(ReviewView, summary="My reviews")
    def get(self, request: Request) -> Response:
        return paged(request, selectors.reviews_of(actor=self.actor), ReviewView)

    @extend_schema(
        summary="Ask for a review by two moderators: as a representative, or for the way without biometrics",
        request=NewReview,
        responses={201: ReviewView},
    )
    def post(self, request: Request) -> Response:
        return Response(ReviewView(reviews.ask(actor=self.actor, **checked(NewReview, request.data))).data, status=201)


class ReviewOne(ApiView):
    scopes: ClassVar = {"GET": "consent:read"}

    @extend_schema(summary="One review", responses=ReviewView)
    def get(self, request: Request, review_id: UUID) -> Response:
        return Response(ReviewView(selectors.review_of(actor=self.actor, review_id=review_id)).data)


class ReviewDocuments(ApiView):
    scopes: ClassVar = {"PUT": "consent:write"}

    @extend_schema(
        summary="Add a document: PDF, PNG or JPEG, at most 10 MiB; gone with the decision, after 72 hours at most",
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={201: DocumentView},
    )
    def put(self, request: Request, review_id: UUID) -> Response:
        selectors.review_of(actor=self.actor, review_id=review_id)
        stream = stream_body(request, max_bytes=reviews.MAX_DOCUMENT_BYTES)
        made = reviews.add_document(actor=self.actor, review_id=review_id, stream=stream)
        return Response(DocumentView(made).data, status=201)


class ReviewRecordings(ApiView):
    scopes: ClassVar = {"POST": "consent:write"}

    @extend_schema(
        summary="Announce a recording under an approved review without biometrics",
        request=NewReviewRecording,
        responses={201: RecordingView},
    )
    def post(self, request: Request, review_id: UUID) -> Response:
        given = checked(NewReviewRecording, request.data)
        made = unmeasured.create_recording(actor=self.actor, review_id=review_id, **given)
        return Response(RecordingView(made).data, status=201)


class ReviewQueue(ApiView):
    scopes: ClassVar = {"GET": "moderate"}

    @listed(ReviewView, summary="Reviews that wait for a moderator")
    def get(self, request: Request) -> Response:
        found, after = page(request, selectors.review_queue(actor=self.actor))
        for one in found:
            views_log.viewed(actor=self.actor, subject=f"review:{one.id}", what="review")
        return linked(request, ReviewView(found, many=True).data, after)


class ReviewCaseOne(ApiView):
    scopes: ClassVar = {"GET": "moderate"}

    @extend_schema(summary="One review, with its documents", responses=ReviewCase)
    def get(self, request: Request, review_id: UUID) -> Response:
        shown = _shown(self.actor, review_id)
        views_log.viewed(actor=self.actor, subject=f"review:{review_id}", what="review")
        return shown


class ReviewVotes(ApiView):
    scopes: ClassVar = {"POST": "moderate"}

    @extend_schema(
        summary="Say your word, once: one no refuses, the second yes approves", request=NewVote, responses=ReviewCase
    )
    def post(self, request: Request, review_id: UUID) -> Response:
        selectors.review_for(actor=self.actor, review_id=review_id)
        reviews.vote(actor=self.actor, review_id=review_id, **checked(NewVote, request.data))
        return _shown(self.actor, review_id)


class ReviewDocumentOne(ApiView):
    scopes: ClassVar = {"GET": "moderate"}

    @extend_schema(
        summary="A document of a review; that you opened it is logged",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, document_id: UUID) -> HttpResponse:
        found, content = reviews.open_document(actor=self.actor, document_id=document_id)
        # A hostile file is never shown by this site: it is saved, and no script of it can run here.
        headers = {
            "Content-Disposition": f'attachment; filename="document-{found.id}"',
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "no-store",
        }
        return HttpResponse(content, content_type="application/octet-stream", headers=headers)


def _shown(actor: Actor, review_id: UUID) -> Response:
    found: Any = selectors.review_for(actor=actor, review_id=review_id)
    found.voted = found.votes.filter(moderator_id=actor.person_id).exists()
    return Response(ReviewCase(found).data)


urlpatterns = [
    path("reviews", Reviews.as_view()),
    path("reviews/queue", ReviewQueue.as_view()),
    path("reviews/<uuid:review_id>", ReviewOne.as_view()),
    path("reviews/<uuid:review_id>/documents", ReviewDocuments.as_view()),
    path("reviews/<uuid:review_id>/recordings", ReviewRecordings.as_view()),
    path("reviews/<uuid:review_id>/case", ReviewCaseOne.as_view()),
    path("reviews/<uuid:review_id>/vote", ReviewVotes.as_view()),
    path("review-documents/<uuid:document_id>", ReviewDocumentOne.as_view()),
]
