"""The fingerprint stays with the sound, not with the mark."""

import numpy as np
import pytest

from watermark.codec.codeword import codewords
from watermark.codec.embed import embed, mark_signal
from watermark.codec.errors import UnmarkableAudio
from watermark.codec.fingerprint import agreement, fingerprint, likeliest
from watermark.codec.transcode import voice_note

PAYLOAD = 99_991


@pytest.fixture(scope="module")
def kept(speech, key):
    return fingerprint(embed(speech, 32_000, PAYLOAD, key), 32_000)


@pytest.mark.parametrize("start", [0.0, 1.237, 2.5])
def test_part_of_a_voice_note_fits_where_it_was(speech, key, kept, start):
    note, rate = voice_note(embed(speech, 32_000, PAYLOAD, key), 32_000)
    first = int(start * rate)
    found = agreement(fingerprint(note[first : first + 2 * rate], rate), kept)
    assert found.verdict == "same"
    assert found.at_s == pytest.approx(start, abs=0.1)


def test_mark_laid_on_other_speech_does_not_fit(other_speech, key, kept):
    laid = other_speech + mark_signal(other_speech, codewords(key, [PAYLOAD])[0], 1.5)
    assert agreement(fingerprint(laid, 32_000), kept).verdict == "other"


def test_sped_up_sound_fits_on_its_scale_alone(speech, kept):
    from watermark.codec.fingerprint import of_heard
    from watermark.codec.listen import Heard, Scale

    places = np.arange(int(len(speech) / 1.05)) * 1.05
    heard = Heard.of(np.interp(places, np.arange(len(speech)), speech).astype(np.float32), 32_000)
    assert agreement(of_heard(heard, Scale(1.05, 1 / 1.05)), kept).value > 0.5
    assert agreement(of_heard(heard), kept).value < 0.4


def test_too_little_is_unclear_and_silence_refused(speech, kept):
    assert agreement(fingerprint(speech[16_000:36_000], 32_000), kept).verdict == "unclear"
    with pytest.raises(UnmarkableAudio):
        fingerprint(np.zeros(96_000, np.float32), 32_000)


@pytest.mark.parametrize("data", [b"", b"odd", bytes(2_000_000)])
def test_what_is_no_fingerprint_is_refused(kept, data):
    with pytest.raises(ValueError, match="two bytes"):
        agreement(kept, data)


def test_likeliest_comes_first_and_strangers_do_not(speech, other_speech, buzzy, kept):
    others = {number: fingerprint(buzzy(number, 4), 32_000) for number in range(6)}
    everything = {**others, PAYLOAD: kept, 7: fingerprint(other_speech, 32_000)}
    assert likeliest(fingerprint(speech[40_000:], 32_000), everything)[0] == PAYLOAD
    assert PAYLOAD not in likeliest(fingerprint(buzzy(77, 4), 32_000), everything)
