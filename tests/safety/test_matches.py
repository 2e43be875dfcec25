"""A live voice that resembles another: one case a person, decided once, and never got round by asking again."""

import uuid

import pytest

from foundation.audit.models import Leaf
from foundation.identity.actors import Actor
from safety import matches, services
from safety.errors import OwnCase, WrongDecision
from safety.models import Case, Restriction
from safety.protected import Match
from tests.safety import desk

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")


def match(ref=None, kind="protected", person=None, label="A singer"):
    return Match(kind, ref or str(uuid.uuid4()), label, person.id if person else None, 0.91, 0.80)


def opened(person, *found):
    return matches.open_match(person_id=person.id, matches=found, actor=SYSTEM)


def test_the_moderator_sees_whom_the_voice_resembles_and_the_log_does_not(person):
    found, asking = match(), person()
    case = opened(asking, found)
    assert (case.kind, case.subject_kind, case.subject_ref) == ("voice_match", "person", str(asking.id))
    assert case.matches == [
        {
            "kind": "protected",
            "ref": found.ref,
            "label": "A singer",
            "person": None,
            "similarity": 0.91,
            "threshold": 0.8,
        }
    ]
    body = bytes(Leaf.objects.get(kind="case.opened").body)
    assert b"singer" not in body
    assert found.ref.encode() not in body
    assert case.text_digest.encode() in body


def test_a_person_has_one_open_case_and_later_matches_join_it(person):
    asking, first, second = person(), match(), match()
    case = opened(asking, first)
    assert opened(asking, first) == case
    assert Leaf.objects.filter(kind__in=["case.opened", "case.widened"]).count() == 1
    assert opened(asking, first, second) == case
    case.refresh_from_db()
    assert [one["ref"] for one in case.matches] == [first.ref, second.ref]
    assert desk.kinds()[-1] == "case.widened"
    assert opened(person(), first) != case
    with pytest.raises(ValueError, match="needs a match"):
        opened(asking)


@pytest.mark.parametrize(
    ("decision", "left", "refused"), [("allow", 0, False), ("refuse", 1, True), ("restrict", 1, True)]
)
def test_a_decision_stands_for_later_challenges_about_the_same_voice(person, decision, left, refused):
    asking, found, other = person(), match(), match()
    desk.decide(person("moderator"), opened(asking, found), decision)
    asked, barred = matches.sort_out(person_id=asking.id, matches=[found])
    assert (len(asked), barred) == (left, refused)
    assert matches.sort_out(person_id=asking.id, matches=[other]) == ([other], False)
    assert matches.sort_out(person_id=person().id, matches=[found]) == ([found], False)
    assert Restriction.objects.filter(subject_ref=str(asking.id)).count() == (decision == "restrict")


def test_the_latest_decision_counts(person):
    asking, found = person(), match()
    desk.decide(person("moderator"), opened(asking, found), "refuse")
    desk.decide(person("moderator"), opened(asking, found), "allow")
    assert matches.sort_out(person_id=asking.id, matches=[found]) == ([], False)
    assert Case.objects.count() == 2


def test_nobody_decides_about_their_own_voice_on_either_side(person):
    asking, enrolled = person("moderator"), person("moderator")
    case = opened(asking, match(kind="enrolled", person=enrolled))
    for moderator in (asking, enrolled):
        with pytest.raises(OwnCase):
            services.claim_case(actor=Actor.of(moderator), case_id=case.id, interested=())
    with pytest.raises(WrongDecision):
        desk.decide(person("moderator"), case, "dismiss")
