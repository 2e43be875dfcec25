"""A tiny synthetic calibration: people are directions in space, so that the truth is known."""

import dataclasses

import numpy as np
import pytest

from consent.biometrics import calibration, condition, encoders
from consent.biometrics.calibrate import __main__ as command
from consent.biometrics.calibrate import card, clips, corpus, figures, fit, trials
from consent.biometrics.calibrate.corpus import CorpusMissing, Voice

D = 32
QUIET = condition.quiet(5.0)


def people(count: int, *, wobble: float = 0.35, seed: int = 0) -> list[trials.Measured]:
    """Voices whose embeddings scatter around a direction of their own, more so in noise."""
    rng = np.random.default_rng(seed)

    def near(own: np.ndarray, spread: float, many: int) -> np.ndarray:
        made = own + rng.normal(0.0, spread / np.sqrt(D), (many, D))
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)

    names = list(clips.CONDITIONS)
    made = []
    for number in range(count):
        own = rng.normal(0.0, 1.0, D)
        own /= np.linalg.norm(own)
        rows = [(test, names.index(name), 5.0, 20.0, 0.1) for name in ("clean", "noise 20 dB") for test in range(3)]
        noisy = QUIET.copy()
        noisy[1:3] = (20.0, 15.0)
        made.append(
            trials.Measured(
                name=f"v{number}",
                person=f"p{number}",
                family=f"f{number}",
                gender="",
                apart=False,
                enrol=near(own, wobble, 2),
                enrol_short=near(own, wobble, 2),
                enrol_facts=np.stack([condition.quiet(10.0)] * 2),
                rows=np.array(rows, dtype=np.float32),
                embeddings=np.concatenate([near(own, wobble, 3), near(own, 2 * wobble, 3)]),
                facts=np.stack([QUIET] * 3 + [noisy] * 3),
                windows=np.stack([near(own, wobble, 3)] * 2),
                snr=np.array([(20.0, 20.4), (10.0, 9.8)], dtype=np.float32),
            )
        )
    return made


@pytest.fixture(scope="module")
def measured() -> list[trials.Measured]:
    return people(24)


@pytest.fixture(scope="module")
def fitted(measured):
    return command.calibrate(measured)


def test_the_promise_holds_on_people_never_seen(fitted) -> None:
    scale, _, _ = fitted
    fresh = fit.pair(people(40, seed=7), fit.Basis(scale.centre, scale.nuisance))
    standard = scale.standard(fresh.cosine, fresh.facts)
    for index, seconds in fresh.cells:
        here = (fresh.condition == index) & (fresh.seconds == seconds)
        assert (standard[here & (fresh.kind == 0)] >= scale.margin).mean() < 0.02
        assert (standard[here & (fresh.kind == 1)] >= scale.margin).mean() > 0.9


def test_the_probability_is_calibrated() -> None:
    """At equal prior odds, of what is called p about p is the same person."""
    crowd = people(40, wobble=1.1, seed=8)
    space = fit.basis(crowd)
    fresh = fit.pair(crowd, space)
    scale = fit.fit(fresh, space, model="hard", people=40)
    probable = scale.probability(scale.standard(fresh.cosine, fresh.facts), fresh.facts)
    same, other = fresh.kind == 1, fresh.kind == 0
    weight = np.where(same, 1.0 / same.sum(), 1.0 / other.sum())
    for low, high in ((0.2, 0.5), (0.5, 0.8)):
        here = (probable >= low) & (probable < high) & (fresh.kind < 2)
        share = weight[here & same].sum() / weight[here].sum()
        assert low - 0.12 < share < high + 0.12


def test_nobody_is_judged_by_coefficients_they_were_part_of(measured) -> None:
    """Other recordings of one person change their own trials, and none that was held out together with them."""
    fold = fit.folds(measured)
    trials_before, before = fit.held_out(measured, fold, model="x")
    changed = [dataclasses.replace(measured[0], embeddings=measured[1].embeddings), *measured[1:]]
    trials_after, after = fit.held_out(changed, fold, model="x")
    assert np.isfinite(before).all()
    mine = (fold[trials_before.enroller] == fold[0]) & (fold[trials_before.tester] == fold[0])
    others = mine & (trials_before.tester != 0)
    assert others.any()
    np.testing.assert_allclose(before[others], after[others])
    assert np.abs(before[mine & ~others] - after[mine & ~others]).max() > 0.1
    assert len(trials_after.cosine) == len(trials_before.cosine)


def test_voices_that_may_be_one_person_make_no_impostor_trial() -> None:
    def voice(person: str, family: str) -> Voice:
        return Voice(name=person, person=person, sessions=[], family=family)

    assert corpus.impostors(voice("a", "x"), voice("b", "y"))
    assert not corpus.impostors(voice("a", "x"), voice("b", "x"))
    assert not corpus.impostors(voice("a", "x"), voice("a", "y"))


def test_an_empty_folder_names_the_packages(tmp_path, capsys) -> None:
    with pytest.raises(CorpusMissing, match="klettres-data"):
        corpus.load(tmp_path)
    assert command.main(["--speech", str(tmp_path), "--out", str(tmp_path / "card.md")]) == 1
    assert "apt-get download" in capsys.readouterr().err
    assert list(tmp_path.glob("*.md")) == []


def test_the_card_has_every_row_and_says_what_it_cannot(measured, fitted, tmp_path) -> None:
    scale, paired, standard = fitted
    out = tmp_path / "biometrics.md"
    card.write(out, measured, scale, paired, standard, attacks=None)
    written, plot = out.read_text(), (tmp_path / "biometrics-det.svg").read_text()
    assert len(figures.table(paired, standard, scale)) == 2
    assert "| noise 20 dB | 5 |" in written
    assert "rule of three" in written
    assert "| 20 | 24 | +0.4 | 0.4 |" in written
    assert plot.startswith("<svg")
    assert plot.count("<polyline") == len(card.LINES)


def test_equal_error_rate_of_known_scores() -> None:
    assert fit.equal_error_rate(np.array([3.0, 4.0, 5.0, 6.0]), np.array([0.0, 1.0, 2.0, 2.5])) == 0.0
    assert fit.equal_error_rate(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 0.5, 0.9, 3.5])) == 0.25


def test_the_shipped_coefficients_were_fitted_on_this_code() -> None:
    scale = calibration.load(encoders.builtin())
    assert scale.people >= 2
    assert list(scale.lowest) == list(fit.LOWEST)
    assert list(scale.highest) == list(fit.HIGHEST)


def test_conditions_repeat_and_do_what_they_say() -> None:
    sound = np.random.default_rng(0).normal(0.0, 0.05, 16_000).astype(np.float32)
    for name, degrade in clips.CONDITIONS.items():
        once, twice = degrade(sound, 3), degrade(sound, 3)
        np.testing.assert_array_equal(once, twice, err_msg=name)
        assert once.shape == sound.shape, name
    noise = clips.noisy(np.zeros(16_000, np.float32), 20.0, 1)
    assert 10 * np.log10(np.mean(noise**2)) == pytest.approx(clips.SPEECH_DBFS - 20.0, abs=0.1)
