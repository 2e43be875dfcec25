"""The fingerprint stays with the sound, not with the mark."""

import numpy as np
import pytest

from watermark.codec.codeword import codewords
from watermark.codec.embed import embed, mark_signal
from watermark.codec.errors import UnmarkableAudio
from watermark.codec.fingerprint import SAME_SOUND, agreement, fingerprint, likeliest
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


def test_second_of_other_speech_agrees_by_chance_and_is_not_called_the_same(speech, other_speech):
    """The fewer the frames, the more chance makes of them. Backwards, speech is another sound, still like speech."""
    backwards = fingerprint(np.concatenate([speech[::-1], other_speech[::-1]]), 32_000)
    pieces = [
        (fingerprint(sound[first : first + 33_000], 32_000), kept)
        for sound, kept in ((other_speech, fingerprint(speech, 32_000)), (speech, backwards), (other_speech, backwards))
        for first in range(0, len(sound) - 33_000, 3_000)
    ]
    found = [agreement(piece, kept) for piece, kept in pieces]
    assert max(one.value for one in found) > SAME_SOUND
    assert not any(one.verdict == "same" for one in found)
    assert any(one.verdict == "other" for one in found)


def test_second_of_the_right_sound_is_never_called_another(speech, kept):
    found = [
        agreement(fingerprint(speech[first : first + 36_000], 32_000), kept)
        for first in range(0, len(speech) - 36_000, 4_000)
    ]
    assert {one.verdict for one in found} <= {"same", "unclear"}
    assert sum(one.verdict == "same" for one in found) > 0.9 * len(found)


def test_too_few_frames_in_common_are_unclear(speech, kept):
    silent = bytes(len(kept) - 40)  # frames without sound
    assert agreement(kept, kept[:40] + silent).verdict == "unclear"


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
