"""Protected voices: sealed, searched exactly, never passed over."""

import numpy as np
import pytest

from foundation.audit.models import Leaf
from foundation.errors import NotAllowed
from foundation.identity.actors import Actor
from foundation.vault import services as vault
from foundation.vault.errors import KeyDestroyed
from safety.errors import BadEmbedding, NoReason
from safety.models import ProtectedVoice
from safety.protected import SAME_VOICE, protect, search

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
    assert (hit.protected_id, hit.label, hit.threshold) == (made.id, "A singer", SAME_VOICE)
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
