"""Reviews over HTTP: asking, documents, two moderators; and who may not."""

import json
from typing import Any

import pytest

from consent.models import Review, ReviewDocument, ReviewVote
from foundation.audit.models import Leaf
from retention.models import CustodyItem

pytestmark = pytest.mark.django_db
ASKED = {
    "kind": "representative",
    "standing": "agent",
    "speaker": "adult",
    "speaker_name": "Ada Speaker",
    "statement": "I am her agent.",
}
PDF = b"%PDF-1.7\nContract"


def problem(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def send(client: Any, review: str, content: bytes = PDF) -> Any:
    return client.put(f"reviews/{review}/documents", content=content)


def test_from_asking_to_two_approvals(person: Any, api: Any) -> None:
    asker, one, other = api(person()), api(person("moderator")), api(person("moderator"))
    made = asker.post("reviews", json=ASKED)
    assert made.status_code == 201
    review = made.json()["id"]
    assert send(asker, review).status_code == 201
    assert [row["id"] for row in one.get("reviews/queue").json()] == [review]
    case = one.get(f"reviews/{review}/case").json()
    assert case["voted"] is False
    seen = [json.loads(bytes(leaf.body)) for leaf in Leaf.objects.filter(kind="case.viewed").order_by("index")]
    assert [(leaf["subject"], leaf["data"]["what"]) for leaf in seen] == [(f"review:{review}", "review")] * 2
    [document] = case["documents"]
    opened = one.get(f"review-documents/{document['id']}")
    assert opened.content == PDF
    assert opened["Content-Disposition"].startswith("attachment")
    assert "sandbox" in opened["Content-Security-Policy"]
    vote = {"approve": True, "reason": "Seen."}
    assert one.post(f"reviews/{review}/vote", json=vote).json()["voted"] is True
    assert problem(one.post(f"reviews/{review}/vote", json=vote)) == (409, "voted_before")
    assert other.post(f"reviews/{review}/vote", json=vote).json()["state"] == "approved"
    seen = asker.get(f"reviews/{review}").json()
    assert (seen["state"], seen["approvals"]) == ("approved", 2)
    assert "moderator" not in str(seen)


@pytest.mark.parametrize(("speaker", "code"), [("minor", "minor_refused"), ("deceased", "deceased_refused")])
def test_children_and_the_dead(person: Any, api: Any, speaker: str, code: str) -> None:
    assert problem(api(person()).post("reviews", json={**ASKED, "speaker": speaker})) == (422, code)
    assert not Review.objects.exists()


def test_who_may_not(person: Any, api: Any) -> None:
    asker = api(person())
    review = asker.post("reviews", json=ASKED).json()["id"]
    send(asker, review)
    document = ReviewDocument.objects.get()
    vote = {"approve": True, "reason": "Mine."}
    for client, status in ((asker, 403), (api(person()), 403), (api(person("auditor")), 403), (api(None), 401)):
        assert client.get("reviews/queue").status_code == status
        assert client.get(f"reviews/{review}/case").status_code == status
        assert client.get(f"review-documents/{document.id}").status_code == status
        assert client.post(f"reviews/{review}/vote", json=vote).status_code == status
    stranger = api(person())
    assert stranger.get(f"reviews/{review}").status_code == 404
    assert send(stranger, review).status_code == 404
    assert (
        stranger.post(f"reviews/{review}/recordings", json={"language": "en", "transcript": "Words."}).status_code
        == 404
    )
    assert stranger.get("reviews").json() == []
    assert not ReviewVote.objects.exists()
    assert ReviewDocument.objects.count() == 1


def test_a_moderator_does_not_decide_on_their_own(person: Any, api: Any) -> None:
    moderator = api(person("moderator"))
    review = moderator.post("reviews", json=ASKED).json()["id"]
    assert moderator.get("reviews/queue").json() == []
    assert moderator.post(f"reviews/{review}/vote", json={"approve": True, "reason": "Me."}).status_code == 404
    assert not ReviewVote.objects.exists()


def test_a_document_is_bounded_before_it_is_read_and_is_what_it_says(person: Any, api: Any) -> None:
    asker = api(person())
    review = asker.post("reviews", json=ASKED).json()["id"]
    assert problem(send(asker, review, b"<script>")) == (422, "document_unsupported")
    assert problem(send(asker, review, b"")) == (411, "length_required")
    assert send(asker, review, PDF + bytes(10 * 1024 * 1024)).status_code == 413
    assert not CustodyItem.objects.exclude(state="destroyed").exists()
