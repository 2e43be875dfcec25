import random

import pytest

from consent.biometrics import words as words_of
from consent.biometrics.recogniser import _dictionary
from consent.biometrics.words import CHALLENGE_WORDS, MIN_BITS, ChallengeError, asked, draw, entropy_bits, vocabulary


def phones() -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    for line in _dictionary(vocabulary()).splitlines():
        word, *sounds = line.split()
        found.setdefault(word.split("(")[0], []).append(sounds)
    return found


def test_the_vocabulary_is_large_sorted_and_plain() -> None:
    words = vocabulary()
    assert len(words) >= 1_024
    assert list(words) == sorted(set(words))
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)


def test_no_word_sounds_like_another() -> None:
    heard = {tuple(sounds): word for word, all_sounds in phones().items() for sounds in all_sounds}
    for sounds, word in heard.items():
        assert len(sounds) >= 5, word
        shorter = [sounds[:cut] + sounds[cut + 1 :] for cut in range(len(sounds))]
        assert all(heard.get(one, word) == word for one in shorter), word


def test_challenges_are_drawn_from_long_words_never_misheard_and_carry_more_than_fifty_bits() -> None:
    assert entropy_bits(CHALLENGE_WORDS, asked()) > 50
    syllables = {
        word: min(sum(sound[0] in "AEIOU" for sound in sounds) for sounds in variants)
        for word, variants in phones().items()
    }
    misheard = set(words_of._UNASKED[1].read_text(encoding="utf-8").split())
    assert misheard
    assert {word for word, count in syllables.items() if count >= 3} == set(asked()) | misheard
    assert not misheard & set(asked())
    rng = random.Random(3)
    assert all(set(draw(rng=rng)) <= set(asked()) for _ in range(50))
    assert entropy_bits(4, 2_048) == pytest.approx(44, abs=0.01)


def test_drawn_words_are_different_and_never_excluded() -> None:
    rng = random.Random(7)
    barred = set(vocabulary()[:600])
    for _ in range(50):
        drawn = draw(6, exclude=barred, rng=rng)
        assert len(set(drawn)) == 6
        assert not barred & set(drawn)


def test_two_draws_of_the_systems_randomness_differ() -> None:
    assert draw() != draw()


@pytest.mark.parametrize(("n", "kept"), [(3, 1_000), (6, 100), (6, 5), (0, 1_000)])
def test_a_weak_challenge_is_refused(n: int, kept: int) -> None:
    assert n in (0, 6) or entropy_bits(n, kept) < MIN_BITS
    with pytest.raises(ChallengeError):
        draw(n, exclude=vocabulary()[kept:])
