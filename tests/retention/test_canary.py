"""The search for a known recording finds it in every spelling, and the drill runs whole."""

import base64
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command

from demo import recordings
from retention import canary


@pytest.fixture(scope="module")
def pcm() -> bytes:
    sound, _ = recordings.say("Nobody knew why the green door had been left open.", voice="slt")
    return recordings.pcm16(sound)


@pytest.mark.parametrize(
    ("spelling", "spell"),
    [
        ("16-bit samples", lambda pcm: b"RIFF" + pcm),
        ("floats", lambda pcm: (np.frombuffer(pcm, "<i2") / 32768).astype("<f4").tobytes()),
        ("base64", lambda pcm: base64.b64encode(b"x" + pcm)),
        ("hexadecimal", lambda pcm: pcm.hex().encode()),
    ],
)
def test_every_spelling_is_found_wherever_it_starts(pcm: bytes, tmp_path: Path, spelling: str, spell) -> None:
    wanted = [needle for stretch in canary.stretches(pcm) for needle in canary.needles("it", stretch)]
    for shift in range(4):
        (tmp_path / "file").write_bytes(bytes(shift) + spell(pcm[2 * shift :]))
        found = canary.search([tmp_path], wanted)
        assert any(spelling in hit.needle for hit in found.hits), shift
    (tmp_path / "file").write_bytes(spell(pcm[::-1]))
    assert canary.search([tmp_path], wanted).hits == []


def test_a_needle_over_the_border_of_two_blocks_is_found(pcm: bytes, tmp_path: Path) -> None:
    (stretch,) = canary.stretches(pcm, 1)
    wanted = canary.needles("it", stretch)
    (tmp_path / "file").write_bytes(bytes(canary.BLOCK - 10) + stretch + bytes(canary.BLOCK))
    (hit,) = canary.search([tmp_path], wanted).hits
    assert hit.path.name == "file"


def test_silence_is_not_looked_for() -> None:
    with pytest.raises(ValueError, match="known again"):
        canary.stretches(bytes(10_000))


@pytest.mark.slow
@pytest.mark.enable_socket
@pytest.mark.timeout(900)
def test_the_drill_finds_nothing_and_its_control_everywhere() -> None:
    """The command as an operator runs it: servers, workers, a whole request, the deadline, the search."""
    out = StringIO()
    call_command("canary_drill", stdout=out)
    assert "0 hits of the canary" in out.getvalue()
    assert "NOT FOUND" not in out.getvalue()
