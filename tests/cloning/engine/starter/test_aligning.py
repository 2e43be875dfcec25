import numpy as np
import pytest

from cloning.engine.starter import aligning

#: Frames of each sound: initials are short, finals long and changing.
SOUNDS = {"b": 3, "sh": 6, "m": 4, "a": 9, "ong": 12, "i": 7, "ao": 10}


def frames_of(sounds: list[str], rng: np.random.Generator) -> tuple[np.ndarray, list[int]]:
    """What an encoder could hear, and where each sound truly ends."""
    seeds = {name: np.random.default_rng(100 + n).normal(size=(2, 16)) for n, name in enumerate(SOUNDS)}
    rows, ends = [], []
    for name in sounds:
        length = SOUNDS[name] + int(rng.integers(-1, 2))
        for place in range(length):
            rows.append(seeds[name][int(2 * place >= length and name in ("a", "ong", "i", "ao"))])
        ends.append(len(rows))
    return (np.array(rows) + 0.3 * rng.normal(size=(len(rows), 16))).astype(np.float32), ends


def material(count: int, seed: int) -> list[tuple[np.ndarray, list[str], list[int]]]:
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        kinds = (["b", "sh", "m"], ["a", "ong", "i", "ao"]) * int(rng.integers(1, 7))
        sounds = [str(rng.choice(kind)) for kind in kinds]
        frames, ends = frames_of(sounds, rng)
        out.append((frames, sounds, ends))
    return out


def test_ends_are_found_from_a_flat_start() -> None:
    aligner = aligning.learn([(frames, sounds) for frames, sounds, _ in material(80, 1)])
    wrong = []
    for frames, sounds, truth in material(30, 2):
        ends = aligner.ends(frames, sounds)
        assert ends is not None
        assert ends[-1] == len(frames)
        wrong += [abs(int(a) - b) for a, b in zip(ends, truth, strict=True)]
    assert np.mean(np.array(wrong) <= 1) > 0.95


def test_what_cannot_be_aligned_is_said_to_be_so() -> None:
    aligner = aligning.learn([(frames, sounds) for frames, sounds, _ in material(20, 3)])
    frames, sounds, _ = material(1, 4)[0]
    assert aligner.ends(frames, []) is None
    assert aligner.ends(frames, ["zh", *sounds]) is None
    assert aligner.ends(frames[:1], ["b", "a"]) is None
    with pytest.raises(ValueError, match="nothing to learn"):
        aligning.learn([(frames[:1], ["b", "a"])])


def test_every_sound_gets_its_least_frames() -> None:
    aligner = aligning.learn([(frames, sounds) for frames, sounds, _ in material(20, 5)])
    noise = np.random.default_rng(6).normal(size=(7, 16)).astype(np.float32)
    ends = aligner.ends(noise, ["b", "a", "sh", "ao"])
    assert ends is not None
    lengths = np.diff(ends, prepend=0)
    assert (lengths >= [1, 2, 1, 2]).all()
    assert lengths.sum() == 7
