"""Protected and enrolled voices: projected, sealed, searched exactly, never passed over."""

import uuid
from datetime import timedelta

import numpy as np
import pytest
from django.core.management import call_command

from foundation.audit.models import Leaf
from foundation.clock import move_forward, now
from foundation.errors import NotAllowed
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.errors import KeyDestroyed
from safety.errors import BadEmbedding, NoReason
from safety.models import ProtectedVoice, SearchKey
from safety.protected import SAME_ENROLLED, SAME_VOICE, enrol, protect, search, unenrol

pytestmark = pytest.mark.django_db


def voice(seed, size=256):
    return np.random.default_rng(seed).normal(size=size)


def at_cosine(embedding, cosine):
    """A vector at exactly this cosine from ``embedding``."""
    unit = embedding / np.linalg.norm(embedding)
    other = voice(99, len(unit))
    other -= unit * (other @ unit)
    return cosine * unit + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other)


def test_a_protected_voice_is_found_whatever_its_loudness(person):
    moderator = Actor.of(person(role="moderator"))
    made = protect(actor=moderator, embedding=voice(1), label="A singer")
    protect(actor=moderator, embedding=voice(2), label="Another")
    (hit,) = search(embedding=7.5 * voice(1))
    assert (hit.kind, hit.ref, hit.label, hit.threshold) == ("protected", str(made.id), "A singer", SAME_VOICE)
    assert hit.similarity == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(("cosine", "found"), [(0.79, 0), (0.81, 1), (-1.0, 0)])
def test_the_threshold_divides(person, cosine, found):
    protect(actor=Actor.of(person(role="moderator")), embedding=voice(1), label="A singer")
    assert len(search(embedding=at_cosine(voice(1), cosine))) == found


def test_the_nearest_comes_first(person):
    moderator = Actor.of(person(role="moderator"))
    for cosine in (0.85, 0.95, 0.9):
        protect(actor=moderator, embedding=at_cosine(voice(1), cosine), label=str(cosine))
    assert [hit.label for hit in search(embedding=voice(1))] == ["0.95", "0.9", "0.85"]


def test_the_template_lies_sealed_and_dies_with_its_key(person):
    moderator = Actor.of(person(role="moderator"))
    made = protect(actor=moderator, embedding=voice(1), label="A singer")
    assert made.template.key.kind == "template"
    vault.destroy_key(key=made.template.key, reason="test", actor=moderator)
    with pytest.raises(KeyDestroyed):
        search(embedding=voice(1))


def test_an_embedding_of_another_model_is_an_error_and_no_clean_answer(person):
    protect(actor=Actor.of(person(role="moderator")), embedding=voice(1, 192), label="A singer")
    with pytest.raises(BadEmbedding):
        search(embedding=voice(1))


@pytest.mark.parametrize("embedding", [[], [0.0] * 256, [float("nan")] * 256, [float("inf")] * 256, [1.0] * 2_000])
def test_an_embedding_without_direction_or_bounds_is_refused(person, embedding):
    with pytest.raises(BadEmbedding):
        search(embedding=embedding)
    with pytest.raises(BadEmbedding):
        protect(actor=Actor.of(person(role="moderator")), embedding=embedding, label="x")
    assert not ProtectedVoice.objects.exists()


def test_only_moderators_protect_and_a_label_is_needed(person):
    before = Leaf.objects.count()
    with pytest.raises(NotAllowed):
        protect(actor=Actor.of(person()), embedding=voice(1), label="A singer")
    with pytest.raises(NoReason):
        protect(actor=Actor.of(person(role="moderator")), embedding=voice(1), label=" ")
    assert not ProtectedVoice.objects.exists()
    assert Leaf.objects.count() == before


def test_an_empty_registry_protects_nobody():
    assert search(embedding=voice(1)) == []


# -- enrolled voices --------------------------------------------------------------------------------------------------
SYSTEM = Actor.system("test")


def enrolled(person, embedding, days=30):
    consent = str(uuid.uuid4())
    made = enrol(
        person_id=person.id,
        consent_ref=consent,
        embedding=embedding,
        not_after=now() + timedelta(days=days),
        actor=SYSTEM,
    )
    return consent, made


def test_a_voice_enrolled_by_another_account_is_found_and_ones_own_is_not(person):
    owner, other = person(), person()
    _, made = enrolled(owner, voice(1))
    (hit,) = search(embedding=voice(1), besides=other.id)
    assert (hit.kind, hit.ref, hit.person_id, hit.threshold) == ("enrolled", str(made.id), owner.id, SAME_ENROLLED)
    assert search(embedding=voice(1), besides=owner.id) == []
    assert search(embedding=at_cosine(voice(1), SAME_ENROLLED - 0.01), besides=other.id) == []


def test_the_end_of_a_consent_destroys_its_search_template(person):
    consent, made = enrolled(person(), voice(1))
    ended = unenrol(consent_ref=consent, reason="consent_withdrawn", actor=SYSTEM)
    assert ended is not None
    assert unenrol(consent_ref=consent, reason="again", actor=SYSTEM) == ended
    assert unenrol(consent_ref=str(uuid.uuid4()), reason="unknown", actor=SYSTEM) is None
    assert search(embedding=voice(1)) == []
    made.refresh_from_db()
    assert (made.state, made.template.key.state) == ("removed", "destroyed")
    with pytest.raises(KeyDestroyed):
        vault.read(sealed_object=made.template, actor=SYSTEM)


def test_past_its_own_deadline_it_is_found_no_more(person):
    enrolled(person(), voice(1), days=1)
    move_forward(timedelta(days=1))
    assert search(embedding=voice(1)) == []


# -- the projection ---------------------------------------------------------------------------------------------------


def sealed(made):
    return np.frombuffer(vault.read(sealed_object=made.template, actor=SYSTEM), "<f4").astype(float)


def test_what_is_sealed_says_nothing_about_the_voice_without_the_search_key(person):
    made = protect(actor=Actor.of(person(role="moderator")), embedding=voice(1), label="A singer")
    unit = voice(1) / np.linalg.norm(voice(1))
    assert abs(sealed(made) @ unit) < 0.35
    assert np.linalg.norm(sealed(made)) == pytest.approx(1.0, abs=1e-5)


def test_rekeying_makes_old_copies_worthless_and_loses_nobody(person, capsys):
    moderator, owner = Actor.of(person(role="moderator")), person()
    protected = protect(actor=moderator, embedding=voice(1), label="A singer")
    _, mine = enrolled(owner, voice(2), days=1)
    _, late = enrolled(person(), voice(3), days=1)
    leaked, old_key, old_objects = sealed(protected), SearchKey.objects.get(), (protected.template, mine.template)
    deadline = mine.template.not_after
    unenrol(consent_ref=late.consent_ref, reason="test", actor=SYSTEM)
    call_command("rekey_protected")
    assert "2 templates" in capsys.readouterr().out

    protected.refresh_from_db()
    mine.refresh_from_db()
    assert abs(leaked @ sealed(protected)) < 0.35
    for made in (*old_objects, old_key.secret):
        with pytest.raises(KeyDestroyed):
            vault.read(sealed_object=made, actor=SYSTEM)
    assert [hit.similarity for hit in search(embedding=voice(1))] == [pytest.approx(1.0, abs=1e-5)]
    assert [hit.ref for hit in search(embedding=voice(2))] == [str(mine.id)]
    assert mine.template.not_after == deadline
    assert SearchKey.objects.filter(state="active").count() == 1
    leaf = Leaf.objects.get(kind="search.rekeyed")
    assert b'"templates":2' in bytes(leaf.body)
    call_command("rekey_protected")
    assert [hit.similarity for hit in search(embedding=voice(1))] == [pytest.approx(1.0, abs=1e-5)]


def test_a_template_from_before_the_projection_is_compared_as_it_is_and_projected_by_the_next_rekeying(person):
    made = protect(actor=Actor.of(person(role="moderator")), embedding=voice(1), label="A singer")
    unit = voice(1) / np.linalg.norm(voice(1))
    key = vault.create_key(kind="template", owner_ref="old", actor=SYSTEM)
    made.template = vault.store(
        key=key, kind="template", owner_ref="old", data=unit.astype("<f4").tobytes(), not_after=None, actor=SYSTEM
    )
    made.search_key = None
    made.save()
    assert len(search(embedding=voice(1))) == 1
    call_command("rekey_protected", verbosity=0)
    made.refresh_from_db()
    assert made.search_key is not None
    assert len(search(embedding=voice(1))) == 1
