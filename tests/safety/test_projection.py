"""The secret rotation: no loss to whoever holds the secret, nothing to whoever does not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.projection import rotation

SECRET = bytes(range(32))


def unit(seed: int, size: int = 256) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=size)
    return made / np.linalg.norm(made)


@settings(max_examples=15, deadline=None)
@given(secret=st.binary(min_size=32, max_size=32), dimensions=st.sampled_from([1, 2, 64, 192, 256]))
def test_it_keeps_every_cosine_and_can_be_taken_back(secret, dimensions):
    matrix, a, b = rotation(secret, dimensions), unit(1, dimensions), unit(2, dimensions)
    assert (matrix @ a) @ (matrix @ b) == pytest.approx(a @ b, abs=1e-12)
    assert matrix.T @ (matrix @ a) == pytest.approx(a, abs=1e-12)


def test_the_same_secret_makes_the_same_matrix_and_another_an_unrelated_one():
    same, again, other = rotation(SECRET, 256), rotation(SECRET, 256), rotation(bytes(32), 256)
    assert np.array_equal(same, again)
    cosines = [(same @ unit(seed)) @ (other @ unit(seed)) for seed in range(50)]
    # Unrelated directions in 256 dimensions: standard deviation 1/16.
    assert np.std(cosines) == pytest.approx(1 / 16, rel=0.4)
    assert np.abs(cosines).max() < 0.3


def test_embeddings_that_lean_one_way_lean_no_more():
    """Speaker embeddings have only positive numbers, so strangers' cosines are about 0.6. Turned under different
    secrets even the same voice is at right angles to itself."""
    voice = np.abs(unit(3))
    assert abs((rotation(SECRET, 256) @ voice) @ (rotation(bytes(32), 256) @ voice)) < 0.3


@pytest.mark.parametrize(("secret", "dimensions"), [(b"short", 256), (SECRET, 0), (SECRET, 1025)])
def test_bounds(secret, dimensions):
    with pytest.raises(ValueError, match="32 secret bytes"):
        rotation(secret, dimensions)
