"""Reviews by hand: the asker's page, the moderators' page, and who may open which."""

from typing import Any

import pytest
from django.test import Client

from consent import reviews
from consent.models import Review
from foundation.identity.actors import Actor

pytestmark = pytest.mark.django_db
PDF = b"%PDF-1.7\nContract"


def asked(person: Any, **more: Any) -> Review:
    return reviews.ask(
        **{
            "actor": Actor.of(person), "kind": "representative", "standing": "agent", "speaker": "adult",
            "speaker_name": "Ada <b>Speaker</b>", "statement": "I am her agent.", **more,
        }
    )  # fmt: skip


def signed_in(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_the_desk_lists_a_review_and_its_page_shows_it_as_text(person: Any) -> None:
    review = asked(person())
    desk = signed_in(person("moderator"))
    assert f"/desk/reviews/{review.id}" in desk.get("/desk").content.decode()
    body = desk.get(f"/desk/reviews/{review.id}").content.decode()
    assert "Ada &lt;b&gt;Speaker&lt;/b&gt;" in body
    assert "I am her agent." in body


def test_who_may_not_open_it(person: Any) -> None:
    moderator = person("moderator")
    mine, other = asked(moderator), asked(person())
    assert signed_in(moderator).get(f"/desk/reviews/{mine.id}").status_code == 404
    assert f"/desk/reviews/{mine.id}" not in signed_in(moderator).get("/desk").content.decode()
    assert signed_in(other.person).get(f"/desk/reviews/{other.id}").status_code == 403
    assert "Ada" not in signed_in(person()).get("/reviews").content.decode()
    assert signed_in(person("auditor")).get("/reviews").status_code == 403
    assert Client().get("/reviews")["Location"].startswith("/sign-in")


@pytest.mark.browser
@pytest.mark.enable_socket
@pytest.mark.django_db(transaction=True)
def test_from_asking_to_two_approvals_in_the_browser(page: Any, sign_in: Any, person: Any) -> None:
    asker, one, other = person(), person("moderator"), person("moderator")
    sign_in(asker).goto("/reviews")
    page.get_by_label("I act for somebody else").check()
    page.get_by_label("By what right do you act?").select_option("guardian")
    page.get_by_label("The speaker’s name").fill("Ada Speaker")
    page.get_by_label("Why, and what do your documents show?").fill("The court's order is attached.")
    page.get_by_label("Whose voice is it?").select_option("minor")
    page.get_by_role("button", name="Ask for a review").click()
    page.get_by_role("alert").filter(has_text="minor_refused").wait_for()
    page.get_by_label("Whose voice is it?").select_option("adult")
    page.get_by_role("button", name="Ask for a review").click()
    page.get_by_label("Document (PDF, PNG or JPEG)").set_input_files(
        {"name": "order.pdf", "mimeType": "application/pdf", "buffer": PDF}
    )
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Received.").wait_for()
    review = Review.objects.get()
    assert (review.standing, review.documents.count()) == ("guardian", 1)

    for moderator, state in ((one, "open"), (other, "approved")):
        sign_in(moderator).goto("/desk")
        page.get_by_role("link", name="A representative").click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert download.value.path().read_bytes() == PDF
        page.get_by_label("Approve: the documents prove it").check()
        page.get_by_label("Reason").fill("The order is genuine.")
        page.get_by_role("button", name="Decide, once").click()
        page.locator(f".chip.{state}").wait_for()
        page.get_by_label("Reason").wait_for(state="detached")
        review.refresh_from_db()
        assert review.state == state


@pytest.mark.browser
@pytest.mark.enable_socket
@pytest.mark.django_db(transaction=True)
def test_a_download_leaves_the_rest_of_the_page_to_come(page: Any, sign_in: Any, person: Any) -> None:
    """A link that is followed stops what is still loading: were a download one, the page's script never came."""
    review, moderator = asked(person()), person("moderator")
    reviews.add_document(actor=Actor.of(review.person), review_id=review.id, stream=[PDF])
    late: list[Any] = []
    page.route("**/web/reviews*.js", lambda route: late.append(route))
    sign_in(moderator).goto(f"/desk/reviews/{review.id}", wait_until="commit")
    with page.expect_download():
        page.get_by_role("link", name="Download").click(no_wait_after=True)
    waiting = page.get_by_text("Part of this page has not come yet.")
    waiting.wait_for()  # only while there is something to wait for
    late.pop().continue_()
    waiting.wait_for(state="hidden")
    page.get_by_label("Approve: the documents prove it").check()
