"""A client of Vouch's API for Python programs: ``Vouch`` and, with the same operations, ``AsyncVouch``.

>>> from vouch.client import Vouch
>>> with Vouch("https://vouch.example", key="vk_…") as vouch:
...     recording = vouch.speak("Sam", "Good morning.")
...     recording.save("morning.mp3")

It needs httpx and no settings. What goes wrong is a ``Problem`` with the API's stable ``code`` and its advice. Calls of
a webhook are checked with `vouch.client.webhooks.event`.
"""

from vouch.client.calls import Problem, TookTooLong, Unreachable
from vouch.client.drivers import AsyncVouch, Vouch
from vouch.client.streams import AsyncSpeechStream, SpeechStream
from vouch.client.things import Challenge, Examination, Hit, Link, Mask, Recording, Trace, Voice, Webhook

__all__ = [
    "AsyncSpeechStream", "AsyncVouch", "Challenge", "Examination", "Hit", "Link", "Mask", "Problem", "Recording",
    "SpeechStream", "TookTooLong", "Trace", "Unreachable", "Voice", "Vouch", "Webhook",
]  # fmt: skip
