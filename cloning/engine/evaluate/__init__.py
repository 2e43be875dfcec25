"""Measuring a voice: are its words understood, does it sound like its speaker, how fast is it?

`python -m cloning.engine.evaluate VOICE --source FOLDER --out REPORT`; docs/evaluation.md says what each figure means.
"""
