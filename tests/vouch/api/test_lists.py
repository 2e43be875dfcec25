"""Every list of the API: pages that inserts do not shift, as many queries for many rows as for few."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
import yaml
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cloning.batches.models import Batch, Line
from cloning.masks.models import VoiceMask
from cloning.models import Job, TextApproval, UsageAccount, Voice
from consent.licence_classes import STANDARD
from consent.models import LicenceOffer, LicenceSeat
from consent.review_models import Review
from foundation.clock import now
from foundation.identity.actors import Actor
from marketplace.hooks import services as hooks
from marketplace.ledger.models import Account, Entry, Leg
from marketplace.models import Listing, Order
from marketplace.payouts.models import Payout, PayoutBatch
from marketplace.statements.models import Statement
from safety import services as safety
from safety.desk_models import Appeal, AppealMessage, Notice
from safety.desk_models import Statement as Reasons
from safety.models import ProtectedVoice
from tests.cloning import factories as make
from tests.marketplace import factories as market
from tests.safety.desk import hold

pytestmark = pytest.mark.django_db
numbers = count(1)

WHOLE = {
    "/api/v1/consent-texts", "/api/v1/licence-texts", "/api/v1/voices/versions", "/api/v1/desk/queues",
    "/api/v1/earnings",
}  # fmt: skip
"""Lists that are not paged: as long as the deployment's texts, versions, queues or currencies, whatever people do."""
LOGGED = "each reading is logged"
ROW_BY_ROW = {f"/api/v1/{name}": LOGGED for name in ("notices", "appeals", "restrictions", "reviews/queue")}
"""Lists whose rows cost queries of their own, and why; a page bounds them."""


class House:
    """One owner of everything, and the desk; ``more()`` adds a row to each list."""

    def __init__(self, person: Callable[..., Any]) -> None:
        self.person = person
        self.owner, self.other, self.senior = person(), person(), person(role="senior")
        self.consent = make.consent(self.owner)
        self.licence = make.licence(self.consent, self.other, cap=100_000)
        actor = Actor.of(self.owner)
        self.hook = hooks.add_endpoint(actor=actor, url="https://hooks.example.org/a", kinds=["statement.made"])
        self.account = Account.objects.create(kind="payable", holder=f"person:{self.owner.id}", currency="EUR")
        self.clearing = Account.objects.create(kind="clearing", holder="platform", currency="EUR")

    def more(self) -> None:
        number = next(numbers)
        voice: Voice = market.ready_voice(self.owner, rehearsal=True)  # and a consent
        output = market.preview_for(voice, provenance={"statement": {}})  # and a request and its job
        make.held(self.owner)
        self._lines(number, output)
        self._mask(number, voice)
        self._licensing(number, voice)
        self._shop(number, voice, output)
        self._money(number)
        self._desk(number, voice)

    def _lines(self, number: int, output: Any) -> None:
        """A further batch, and a further spoken line of the first."""
        batch = Batch.objects.create(
            voice=output.voice, requester=self.owner, kind="files", source="text", language="en", container="wav",
            pause_ms=0, chapter_pause_ms=0,
        )  # fmt: skip
        self.batch = getattr(self, "batch", batch)
        Line.objects.create(
            batch=self.batch, number=number, text_digest="0" * 64, characters=6, state="done", request=output.request
        )

    def _mask(self, number: int, voice: Voice) -> None:
        """A further mask of the first voice."""
        self.voice = getattr(self, "voice", voice)
        job = Job.objects.create(kind="mask", voice=self.voice, requester=self.owner, state="succeeded")
        self.mask = VoiceMask.objects.create(
            voice=self.voice, owner=self.owner, job=job, name=f"Mask {number}", seed=1, state="ended", ended_at=now()
        )

    def _licensing(self, number: int, voice: Voice) -> None:
        make.licence(voice.consent, self.other)
        LicenceSeat.objects.create(licence=self.licence, code_sha256=f"{number:064d}")
        LicenceOffer.objects.create(
            consent=voice.consent, owner=self.owner, licensee=self.other, by_owner=True, text_id=STANDARD, scope={},
            characters=100, days=7, act={}, salt="", expires_at=now() + timedelta(days=1),
        )  # fmt: skip
        TextApproval.objects.create(
            licence=self.licence, voice=voice, owner=self.owner, requester=self.other, text="Hello.",
            text_digest=f"{number:064d}", expires_at=now() + timedelta(days=1),
        )  # fmt: skip

    def _shop(self, number: int, voice: Voice, output: Any) -> None:
        offer: dict[str, Any] = {
            "owner": self.owner, "title": f"Offer {number}", "price_minor": 0, "currency": "EUR", "rehearsal": True,
            "scope": {"languages": ["en"], "days": 7}, "preview": output,
        }  # fmt: skip
        listing = Listing.objects.create(voice=voice, review="published", reviewed_at=now(), **offer)
        Listing.objects.create(voice=market.ready_voice(self.owner, rehearsal=True), review="waiting", **offer)
        Order.objects.create(
            listing=listing, customer=self.owner, seller=self.other, characters=1_000, quantity=1_000, price_minor=0,
            currency="EUR", amount_minor=0, rehearsal=True,
        )  # fmt: skip
        hooks.tell(people=[self.owner.id], event="statement.made", key=str(number), data={})
        hooks.add_endpoint(actor=Actor.of(self.owner), url=f"https://hooks.example.org/{number}", kinds=["order.paid"])

    def _money(self, number: int) -> None:
        entry = Entry.objects.create(key=f"test:{number}", kind="payout", leg_count=2)
        Leg.objects.create(entry=entry, account=self.account, amount_minor=-5)
        Leg.objects.create(entry=entry, account=self.clearing, amount_minor=5)
        batch = PayoutBatch.objects.create(number=number, leaf_index=0)
        Payout.objects.create(
            batch=batch, entry=entry, person=self.owner, reference=f"R{number}", name="N",
            iban="DE89370400440532013000",            amount_minor=5, currency="EUR",
        )  # fmt: skip
        month = UsageAccount.objects.create(
            owner=self.owner, period=f"{2000 + number}-01", opened=b"0" * 32, head=b"0" * 32
        )
        summary = {"characters": 1, "milliseconds": 1, "totals": {}, "payable": None, "root": ""}
        Statement.objects.create(account=month, uses=0, final=True, summary=summary, leaf_index=0)

    def _desk(self, number: int, voice: Voice) -> None:
        someone = self.person()
        case = hold(someone)
        safety.restrict(
            actor=Actor.of(self.senior), subject_kind="voice", subject_ref=str(voice.id), effect="pause",
            reason="Odd.", clause="test",
        )  # fmt: skip
        facts = {
            "decision": "refuse", "subject_kind": "text", "facts": "Odd.", "clause": "x", "from": "2026-01-01",
            "source": "own_initiative", "automated_detection": False, "second_person": False,
        }  # fmt: skip
        reasons = Reasons.objects.create(
            case=case, person=self.owner, facts=facts, appeal_until=now() + timedelta(days=9)
        )
        appeal = Appeal.objects.create(
            statement=reasons, person=someone, first_by=self.senior, due_at=now() + timedelta(days=9)
        )
        for said in range(2):
            AppealMessage.objects.create(appeal=appeal, author=someone, text=str(said), from_desk=False)
        Review.objects.create(
            kind="representative", person=someone, speaker_name="A", standing="agent", statement="B", salt="",
            expires_at=now() + timedelta(days=1), rehearsal=True, leaf_index=0,
        )  # fmt: skip
        Review.objects.create(
            kind="representative", person=self.owner, speaker_name="A", standing="agent", statement="B", salt="",
            state="refused", decided_at=now(), decided_leaf=0, expires_at=now(), rehearsal=True, leaf_index=0,
        )  # fmt: skip
        _, template = market.sealed(f"protected:{number}")
        ProtectedVoice.objects.create(
            label="x", dimensions=256, template=template, person=self.owner, source="representative",
            basis_ref=str(number),
        )  # fmt: skip
        Notice.objects.create(
            form="dsa", subject_kind="voice", subject_ref=str(voice.id), sender_name="A", sender_email="a@example.org",
            standing="self", claim="Mine.", signature="A", good_faith=True, accurate=True, salt="",
            token_digest=f"{number:064d}", triage_due_at=now() + timedelta(days=1), action_due_at=now(),
        )  # fmt: skip


def lists() -> list[str]:
    """Every operation that answers GET with an array, by the snapshot."""
    with open("docs/openapi.yaml") as file:
        paths = yaml.safe_load(file)["paths"]
    return [
        path
        for path, operations in paths.items()
        for content in operations.get("get", {"responses": {}})["responses"].get("200", {}).get("content", {}).values()
        if content["schema"].get("type") == "array"
    ]


def test_every_list_has_pages_and_needs_no_query_more_for_more_rows(person: Any, api: Any) -> None:
    house = House(person)
    clients = {role: api(person(role=role)) for role in ("moderator", "operator")} | {"owner": api(house.owner)}
    roles = dict.fromkeys(
        ("appeals", "cases", "listings/reviews", "notices", "restrictions", "reviews/queue"), "moderator"
    )
    roles |= dict.fromkeys(("payout-files", "custody/subjects"), "operator")
    places = {"licence_id": house.licence.id, "webhook_id": house.hook.id, "person_id": house.owner.id}
    paged = [path for path in lists() if path not in WHOLE]
    assert len(paged) >= 29

    def rows(path: str, query: str = "") -> tuple[Any, int]:
        door = path.removeprefix("/api/v1/")
        role = next((who for start, who in roles.items() if door.startswith(start)), "owner")
        with CaptureQueriesContext(connection) as seen:
            answer = clients[role].get(path.format(**places) + query)
        assert answer.status_code == 200, (path, answer.content)
        return answer, len(seen)

    house.more()
    house.more()
    places["batch_id"], places["voice_id"] = house.batch.id, house.voice.id
    api(house.owner)
    for path in paged:
        rows(path)  # last_used_at of the keys is written, and what else is written once
    few = {path: rows(path) for path in paged}
    house.more()
    api(house.owner)
    for path in paged:
        whole, queries = rows(path)
        had = len(few[path][0].json())
        assert len(whole.json()) > had >= 2, f"{path} was not filled"
        if path not in ROW_BY_ROW:
            assert queries == few[path][1], f"{path}: {few[path][1]} queries for {had} rows, {queries} for more"
        assert "Link" not in whole
        walked: list[Any] = []
        query: str | None = "?limit=2"
        while query is not None:
            answer, _ = rows(path, query)
            assert len(answer.json()) <= 2
            walked += answer.json()
            cursor = answer.headers.get("Next-Cursor")
            query = f"?limit=2&cursor={cursor}" if cursor else None
            if cursor:
                assert answer["Link"] == f'<{path.format(**places)}?limit=2&cursor={cursor}>; rel="next"'
        assert walked == whole.json(), path


def test_what_comes_meanwhile_shifts_nothing_and_a_foreign_cursor_opens_nothing(person: Any, api: Any) -> None:
    owner = person()
    client, others = api(owner, scopes=["voice:read"]), api(person())
    for _ in range(4):
        api(owner)
    before = [row["id"] for row in client.get("keys").json()]
    first = client.get("keys?limit=2")
    cursor = first["Next-Cursor"]
    api(owner)  # newest first: it would push the second page down by one
    second = client.get(f"keys?limit=2&cursor={cursor}")
    assert [row["id"] for row in first.json() + second.json()] == before[:4]

    forged = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    for path, who in (
        (f"keys?cursor={forged}", client), (f"keys?cursor={cursor}", others), (f"voices?cursor={cursor}", client),
        ("keys?cursor=nowhere", client), ("keys?cursor=%00", client), ("voices?cursor=é.é", client),
    ):  # fmt: skip
        answer = who.get(path)
        assert (answer.status_code, answer.json()["code"]) in ((422, "bad_cursor"), (422, "invalid_fields")), path
    for limit in ("0", "201", "-1", "x", "1e1"):
        assert client.get(f"keys?limit={limit}").json()["code"] == "invalid_fields"
    assert client.get("keys?cursor=" + "x" * 501).json()["code"] == "invalid_fields"
    row = client.get("keys").json()[0]
    assert set(row) == {
        "id",
        "name",
        "scopes",
        "begins",
        "created_at",
        "expires_at",
        "revoked_at",
        "last_used_at",
    }  # fmt: skip - nothing of the secret
    assert len(others.get("keys").json()) == 1
    assert api(None).get("keys").status_code == 401
