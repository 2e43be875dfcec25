from datetime import UTC, datetime

import numpy as np
import pytest

from watermark.codec.codeword import codewords
from watermark.codec.embed import embed, mark_signal
from watermark.codec.errors import UnmarkableAudio
from watermark.codec.fingerprint import fingerprint
from watermark.labels.audible import with_label
from watermark.labels.encode import decode
from watermark.labels.profile import load_profile
from watermark.seal import seal
from watermark.services import issue_mark, record_sound
from watermark.trace import examine, trace

pytestmark = pytest.mark.django_db


def recorded(mark, wave):
    record_sound(
        mark=mark, print_of_sound=fingerprint(wave, 32_000), strength_db=1.5, score=15.0, voice_note_score=11.0
    )


@pytest.fixture
def others():
    return [issue_mark(output_ref=f"other-{index}", rehearsal=False) for index in range(50)]


def test_sealed_file_is_traced_to_its_output_past_the_label(speech, key, others, credential):
    mark = issue_mark(output_ref="mine", rehearsal=True)
    sealed = seal(
        speech, 32_000, payload=mark.payload, mark_key=key, label_profile=load_profile(), content_id="mine",
        provider_code="001100000000000000000000000", created=datetime.now(UTC), sign=lambda message: b"signed",
        verify=lambda signature, message: signature == b"signed", rehearsal=True, language="en", credential=credential,
    )  # fmt: skip
    wave, rate = decode(sealed.data)
    hits = trace(wave, rate, key=key)
    assert [hit.output_ref for hit in hits] == ["mine"]
    assert hits[0].start_s >= 1.8
    assert hits[0].end_s <= len(wave) / rate + 0.01
    assert hits[0].false_positive_bound < 1e-6
    assert hits[0].sound == "unknown"
    record_sound(
        mark=mark, print_of_sound=sealed.print_of_sound, strength_db=sealed.mark_strength,
        score=sealed.mark_score, voice_note_score=sealed.voice_note_score,
    )  # fmt: skip
    assert trace(wave, rate, key=key)[0].sound == "same"


def test_part_of_a_marked_sound_inside_another_is_traced_to_its_place(speech, other_speech, key, others):
    mark = issue_mark(output_ref="mine", rehearsal=False)
    part = embed(speech, 32_000, mark.payload, key)[16_000 : 16_000 + 4 * 32_000]
    wave = np.concatenate([other_speech, part, other_speech])
    hits = trace(wave, 32_000, key=key)
    assert [hit.output_ref for hit in hits] == ["mine"]
    begin = len(other_speech) / 32_000
    assert hits[0].start_s < begin + 2
    assert hits[0].end_s > begin + 2


def test_mark_laid_on_other_speech_is_told_apart(speech, other_speech, key, others):
    mark = issue_mark(output_ref="mine", rehearsal=False)
    recorded(mark, embed(speech, 32_000, mark.payload, key))
    laid = other_speech + mark_signal(other_speech, codewords(key, [mark.payload])[0], 1.5)
    hit = trace(laid, 32_000, key=key)[0]
    assert (hit.output_ref, hit.sound, hit.transplanted) == ("mine", "other", True)


def test_what_the_fingerprint_points_to_is_proved_by_less(speech, key, others):
    mark = issue_mark(output_ref="mine", rehearsal=False)
    wave = embed(speech, 32_000, mark.payload, key)
    before = trace(wave, 32_000, key=key)[0]
    recorded(mark, wave)
    after = trace(wave, 32_000, key=key)[0]
    assert (before.sound, after.sound, after.transplanted) == ("unknown", "same", False)
    assert after.score == before.score
    assert after.false_positive_bound < before.false_positive_bound


def test_search_says_what_it_tried(speech, key, others):
    tried = examine(speech[:96_000], 32_000, key=key)
    assert (tried.hits, tried.ids, tried.scales_tried) == ([], len(others), True)
    assert tried.verdict in ("not marked", "inconclusive")


def test_unmarked_sound_with_a_label_is_traced_to_nothing(speech, key, others):
    assert trace(with_label(speech, 32_000, load_profile(), "en").wave, 32_000, key=key) == []


def test_mark_that_was_never_issued_is_traced_to_nothing(speech, key, others):
    unissued = next(payload for payload in range(1, 99) if payload not in {mark.payload for mark in others})
    assert trace(embed(speech, 32_000, unissued, key), 32_000, key=key) == []


def test_empty_registry_answers_nothing(speech, key):
    assert trace(speech, 32_000, key=key) == []


def test_bad_sound_is_named(key):
    with pytest.raises(UnmarkableAudio):
        trace(np.zeros(96_000, np.float32), 32_000, key=key)
