"""What of a person is in the log after their words and the salts beside them are erased: nothing anyone can read."""

from collections.abc import Callable
from typing import Any

import pytest

from foundation import keys
from foundation.audit import canonical, checkpoints, commitments, rebuild, receipts, verify
from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from safety import services
from safety.models import Report

WORDS = "Ada Lovelace copied my voice"


def whole() -> rebuild.Report:
    leaves = Leaf.objects.order_by("index")
    exported = [rebuild.ExportedLeaf(leaf.index, bytes(leaf.body), bytes(leaf.leaf_hash)) for leaf in leaves]
    return rebuild.rebuild(exported, [checkpoints.make().note], keys.public_key("log"))


@pytest.mark.django_db
def test_erasing_a_salt_leaves_the_log_valid_and_its_commitment_without_meaning(person: Callable[..., Any]) -> None:
    subject = "01234567-89ab-cdef-0123-456789abcdef"
    services.report(actor=Actor.of(person()), subject_kind="voice", subject_ref=subject, text=WORDS)
    report = Report.objects.get()
    leaf = Leaf.objects.get(kind="report.made")
    stated = canonical.decode(bytes(leaf.body))["data"]["text"]
    before = receipts.receipt(leaf.index)
    assert WORDS not in "".join(bytes(one.body).decode() for one in Leaf.objects.all())
    # While the salt is there, the entry can be opened: the words are proven to be those that were reported.
    assert commitments.Commitment(stated, report.text_salt).matches(WORDS)

    Report.objects.update(text="", text_salt="")

    assert whole().intact
    assert verify.verify_receipt(before, keys.public_key("log")).data["text"] == stated
    report.refresh_from_db()
    assert not commitments.Commitment(stated, report.text_salt).matches(WORDS)
    assert all(not commitments.Commitment(stated, commitments.commit(WORDS).salt).matches(WORDS) for _ in range(50))
