"""Calibration of the consent gate: fit on people anyone can install, test on other people, write the card.

``python -m consent.biometrics.calibrate --speech FOLDER`` repeats every figure in ``docs/biometrics.md``.
"""
