"""Measure the starter base: does a listener that is not part of it still hear the words, and the right voice?

    python -m demo.judge_starter --work FOLDER [--voice awb]

The listener for phones is the content encoder's own phone head (it knows the material, so compare with the source's
figure beside it). Spoken are sentences nobody was trained on. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from cloning.engine.features.content import ContentEncoder
from cloning.engine.features.spectrogram import linear
from cloning.engine.starter import corpus
from cloning.engine.synthesis import SpeechRequest, synthesise
from cloning.engine.training.base import Base, starter_base
from cloning.engine.training.prepare import Recording, encode
from cloning.engine.training.recipe import TrainingRecipe
from cloning.engine.training.voice import train_voice
from cloning.engine.voicefile import unpack
from demo.flite.speaker import speak, speak_timed

#: Sentences of one minute of training speech and of the test.
TRAIN_SENTENCES, TEST_SENTENCES = 18, 10


@torch.inference_mode()
def heard(encoder: ContentEncoder, wave: np.ndarray) -> list[int]:
    """Phones the listener hears, pauses left out: runs of at least two frames (40 ms)."""
    told = encoder.heads(encoder(torch.from_numpy(wave.astype(np.float32))[None]))[0][0].argmax(-1).tolist()
    runs: list[list[int]] = []
    for phone in told:
        if runs and runs[-1][0] == phone:
            runs[-1][1] += 1
        else:
            runs.append([phone, 1])
    return [phone for phone, length in runs if length > 1 and phone != corpus.PHONE_INDEX["pau"]]


def errors(truth: list[int], told: list[int]) -> int:
    """Levenshtein distance."""
    row = list(range(len(told) + 1))
    for i, wanted in enumerate(truth, 1):
        row, above = [i], row
        for j, got in enumerate(told, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (wanted != got)))
    return row[-1]


def rate(pairs: list[tuple[list[int], list[int]]]) -> float:
    return round(sum(errors(a, b) for a, b in pairs) / sum(len(a) for a, _ in pairs), 3)


@torch.inference_mode()
def copy(base: Base, encoder: ContentEncoder, wave: np.ndarray, phones: list[int], other: np.ndarray) -> np.ndarray:
    """The utterance's codes spoken again in the style of another utterance of the voice."""
    model = base.build_acoustic(1).eval()
    item = encode(wave, phones, config=base.config, encoder=encoder, codebook=base.codebook)
    style = model.reference_style([linear(torch.from_numpy(other)[None], base.config.audio)])
    out = model.decode(item.codes[None], item.phones[None], style, generator=torch.Generator().manual_seed(1))
    return out[0, 0].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voice", default="awb")
    parser.add_argument("--work", type=Path, required=True, help="folder that receives the voice and three examples")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    from cloning.engine.text import to_phones

    base = starter_base()
    encoder = base.build_content()
    rng = np.random.default_rng(77)
    texts = [corpus.sentence(rng) for _ in range(TRAIN_SENTENCES + TEST_SENTENCES)]
    tests = [speak_timed(text, voice=args.voice) for text in texts[TRAIN_SENTENCES:]]
    truths = [[corpus.PHONE_INDEX[p.name] for p in said.phones if p.name != "pau"] for said in tests]
    result: dict[str, object] = {"voice": args.voice}
    result["phone_error_source"] = rate([(t, heard(encoder, s.wave)) for t, s in zip(truths, tests, strict=True)])
    copies = [
        copy(base, encoder, s.wave, to_phones(text, "en").ids, tests[(i + 1) % len(tests)].wave)
        for i, (text, s) in enumerate(zip(texts[TRAIN_SENTENCES:], tests, strict=True))
    ]
    result["phone_error_copy"] = rate([(t, heard(encoder, c)) for t, c in zip(truths, copies, strict=True)])
    recordings = [Recording(*speak(text, voice=args.voice), transcript=text) for text in texts[:TRAIN_SENTENCES]]
    began = time.monotonic()
    data = train_voice(
        recordings, language="en", recipe=TrainingRecipe.demo(), base=base, seed=1, progress=lambda p: None
    )
    voice = unpack(data)
    result["train_seconds"] = round(time.monotonic() - began, 1)
    result["speech_seconds"] = voice.training["speech_seconds"]
    result["voice_bytes"] = len(data)
    args.work.mkdir(parents=True, exist_ok=True)
    said, doubtful = [], 0
    for index, text in enumerate(texts[TRAIN_SENTENCES:]):
        speech = synthesise(voice, SpeechRequest(text, seed=index, temperature=0.7, split_method="cut0"))
        doubtful += speech.doubtful
        said.append(speech.pcm)
    result["phone_error_text_to_speech"] = rate([(t, heard(encoder, p)) for t, p in zip(truths, said, strict=True)])
    result["doubtful_fragments"] = doubtful
    import soundfile

    for index in range(3):
        soundfile.write(args.work / f"said{index}.wav", said[index], base.config.audio.sample_rate)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
