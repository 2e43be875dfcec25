"""The second mark: on long narrations only, read back before it leaves, and traced when it alone is left."""

import numpy as np
import pytest

from watermark.codec.audiowmark import ProgramMissing
from watermark.companion import Companion, CompanionLost
from watermark.services import issue_mark
from watermark.trace import examine

pytestmark = pytest.mark.django_db
RATE = 32_000


def plain(wave, rate):
    return wave, rate


@pytest.fixture(scope="module")
def narration(speech, other_speech):
    return np.concatenate([speech, other_speech, speech])[: 16 * RATE]


def test_only_long_narrations_carry_it(key):
    companion = Companion(key, from_seconds=60.0)
    assert companion.wanted(60.0)
    assert not companion.wanted(59.9)


def test_an_output_is_traced_by_its_second_mark_alone(narration, key):
    mark = issue_mark(output_ref="long", rehearsal=True)
    companion = Companion(key)
    marked, strength = companion.mark(narration, RATE, mark.payload, channel=plain)
    assert strength in (10.0, 15.0)
    (hit,) = examine(marked, RATE, key=key, companion=companion).hits
    assert (hit.output_ref, hit.mark) == ("long", "audiowmark")
    assert hit.false_positive_bound < 1e-20
    assert 0 <= hit.start_s < hit.end_s <= 16.01
    assert examine(marked, RATE, key=key).hits == []
    other = Companion(bytes(32))
    assert other.found(marked, RATE) == []


def test_a_mark_that_does_not_read_back_stops_the_output(narration, key):
    with pytest.raises(CompanionLost):
        Companion(key).mark(narration, RATE, 5, channel=lambda wave, rate: (narration, rate))


def test_without_the_program_nothing_leaves(narration, key, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing):
        Companion(key, program=True).mark(narration, RATE, 5, channel=plain)
