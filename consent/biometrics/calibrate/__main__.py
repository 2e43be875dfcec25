"""``python -m consent.biometrics.calibrate --speech FOLDER``: coefficients and card from installable speech."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from consent.biometrics.calibrate import card, fit, trials
from consent.biometrics.calibrate.corpus import PACKAGES, CorpusMissing
from consent.biometrics.calibration import Calibration
from consent.biometrics.encoders import Encoder, EncoderError, builtin, mount


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 the speech or the encoder is not usable (said on stderr)."""
    parser = argparse.ArgumentParser(prog="python -m consent.biometrics.calibrate", description=__doc__)
    parser.add_argument("--speech", type=Path, required=True, help=f"folder of unpacked {', '.join(PACKAGES)}")
    parser.add_argument(
        "--out", type=Path, default=Path("docs/biometrics.md"), help="the card; its plot lies beside it"
    )
    parser.add_argument("--encoder", type=Path, help="calibrate a mounted encoder instead; writes its calibration.json")
    parser.add_argument(
        "--cache", type=Path, help="keep measurements here (embeddings of persons: not in a repository)"
    )
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--attacks", type=Path, help="a JSON file of attack figures to print into the card")
    options = parser.parse_args(arguments)
    try:
        chosen = mount(options.encoder) if options.encoder else builtin()
        with tempfile.TemporaryDirectory() as scratch:
            cache = options.cache or Path(scratch)
            measured = trials.collect(options.speech, cache, mounted=options.encoder, jobs=options.jobs)
    except (CorpusMissing, EncoderError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line speaks to its user
        return 1
    scale, paired, standard = calibrate(measured)
    target = (options.encoder / "calibration.json") if options.encoder else chosen.calibration
    assert target is not None, "the built-in encoder has a place for its calibration"
    target.write_text(stored(scale, chosen, paired), encoding="utf-8")
    if not options.encoder:
        card.write(options.out, measured, scale, paired, standard, attacks=options.attacks)
    return 0


def calibrate(measured: Sequence[trials.Measured]) -> tuple[Calibration, fit.Trials, np.ndarray]:
    """Coefficients on everybody, with the margin from held-out people; the trials; and their held-out z."""
    paired, standard = fit.held_out(measured, fit.folds(measured), model="held-out")
    margin = fit.worst_quantile(paired, standard)
    people, space = len({one.person for one in measured}), fit.basis(measured)
    scale = fit.fit(fit.pair(measured, space), space, model="calibration-2", people=people, margin=margin)
    return scale, paired, standard


def stored(scale: Calibration, encoder: Encoder, paired: fit.Trials) -> str:
    """The coefficients file, with what it was made of."""
    kinds = {"impostor_trials": 0, "same_person_trials": 1, "other_session_trials": 2}
    return scale.to_json(encoder, **{name: int((paired.kind == kind).sum()) for name, kind in kinds.items()})


if __name__ == "__main__":
    sys.exit(main())
