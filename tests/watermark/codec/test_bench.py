"""The bench measures what it says: its attacks have the published parameters, its figures follow the definitions."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import soundfile

from watermark.codec import fingerprint
from watermark.codec.bench import __main__ as bench
from watermark.codec.bench import audiowmark, measure, report, speed
from watermark.codec.bench.attacks import ATTACKS, Missing, active_level, attacked, mixed, room
from watermark.codec.bench.quality import LEVEL_HZ, level_alone, quality
from watermark.codec.embed import marked_once

BY_NAME = {attack.name: attack for attack in ATTACKS}
#: Those that need no program.
PLAIN = (
    "none", "pcm8", "rs_8k", "phone_ulaw", "crop_75", "crop_50", "splice10ms", "music_10", "babble_10", "white_20",
    "pink_15", "eq_6db", "lp_4k", "hp_500", "gain_-14", "clip_+9", "speed_1.05", "reverb_.4",
)  # fmt: skip


def run(name, speech, other_speech):
    other = np.resize(other_speech, 40 * 32_000).astype(np.float64)
    return attacked(BY_NAME[name], speech[:64_000], 32_000, "seed", other)


def test_there_are_fifty_attacks_twenty_eight_of_them_core():
    assert len(BY_NAME) == len(ATTACKS) == 50
    assert sum(attack.core for attack in ATTACKS) == 28


@pytest.mark.parametrize("name", PLAIN)
def test_attack_changes_the_sound_alike_each_time(name, speech, other_speech):
    one, rate = run(name, speech, other_speech)
    again, _ = run(name, speech, other_speech)
    assert np.isfinite(one).all()
    assert np.abs(one).max() <= 1
    assert (one == again).all()
    seconds = {"crop_75": 1.5, "crop_50": 1.0, "splice10ms": 1.92, "speed_1.05": 2 / 1.05}.get(name, 2.0)
    assert len(one) / rate == pytest.approx(seconds, abs=0.01)
    if name != "none":
        assert len(one) != 64_000 or np.abs(one - speech[:64_000]).max() > 1e-3


def test_missing_program_is_named(speech, other_speech, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Missing, match="ffmpeg"):
        run("opus_24", speech, other_speech)
    with pytest.raises(Missing, match="sox"):
        run("tempo_1.03", speech, other_speech)


def test_mixing_is_by_active_level(speech):
    noise = np.random.default_rng(0).standard_normal(9_999)
    added = mixed(speech.astype(np.float64), noise, 20) - speech
    assert 20 * np.log10(active_level(speech) / np.sqrt(np.mean(added**2))) == pytest.approx(20, abs=0.1)


def test_room_has_the_ratio_asked_for():
    click = np.zeros(32_000)
    click[0] = 1
    heard = room(click, 32_000, np.random.default_rng(0), seconds=0.4, direct_db=3)
    assert heard[0] == pytest.approx(1)
    assert 10 * np.log10(np.sum(heard[1:] ** 2)) == pytest.approx(-3, abs=0.05)


def test_louder_mark_has_a_higher_noise_to_mask_ratio(speech, key):
    plain = speech[:96_000].astype(np.float64)
    soft, loud = (quality(plain, marked_once(speech[:96_000], 32_000, 5, key, dB).astype(float)) for dB in (1.0, 2.0))
    assert loud.nmr_db - soft.nmr_db == pytest.approx(6.3, abs=0.7)
    assert soft.stoi > loud.stoi > 0.98
    assert quality(plain, plain * 1.0001).nmr_db < -40


def test_control_of_pesq_changes_the_level_of_the_voice_band_alone(speech, key):
    plain = speech[:96_000].astype(np.float64)
    marked = marked_once(speech[:96_000], 32_000, 5, key, 4.0).astype(np.float64)
    control = level_alone(plain, marked)

    def levels(sound):
        power = np.abs(np.fft.rfft(sound)) ** 2
        hertz = np.fft.rfftfreq(len(sound), 1 / 32_000)
        middle = (hertz > 1.2 * LEVEL_HZ[0]) & (hertz < LEVEL_HZ[1] / 1.2)
        outside = (hertz < LEVEL_HZ[0] / 2) | (hertz > LEVEL_HZ[1] * 2)
        return np.array([10 * np.log10(power[part].sum()) for part in (middle, outside)])

    turned = levels(control) - levels(plain)
    assert abs(turned[0]) > 0.02  # the codeword of this payload is no exact balance
    assert turned[0] == pytest.approx((levels(marked) - levels(plain))[0], rel=0.2)  # the filter's edges
    assert abs(turned[1]) < 0.005
    spectra = np.fft.rfft(control), np.fft.rfft(plain)
    assert abs(np.angle(np.vdot(*spectra))) < 1e-4


def test_bound_is_brought_to_a_million_ids(speech, other_speech):
    clip, wave = measure.marked("clip", speech[:96_000], 1.5)
    other = np.zeros(1) + 0.1
    stranger = fingerprint.fingerprint(other_speech, 32_000)
    outcome = measure.attack_all(clip, wave, other, [BY_NAME["none"]], stranger, scales=False)[0]
    assert (outcome.found, outcome.wrong, outcome.sound, outcome.stranger) == (True, False, "same", "other")
    assert outcome.bound <= 1e-6
    refused, none = measure.marked("short", speech[:12_000], 1.5)
    assert none is None
    assert "too short" in refused.refused


def test_unmarked_clip_is_counted_and_not_accepted(speech):
    result = measure.unmarked("clip", speech[:96_000], ids=200)
    assert result.bound > 1e-6
    assert result.mean_square == pytest.approx(1, abs=0.1)


def test_command_writes_tables_and_json(tmp_path, speech, other_speech, capsys, monkeypatch):
    soundfile.write(tmp_path / "02s_000_awb.wav", speech[:64_000], 32_000)
    soundfile.write(tmp_path / "other.wav", np.resize(other_speech, 40 * 32_000), 32_000)
    kept = [BY_NAME["none"], dataclasses.replace(BY_NAME["white_20"])]
    monkeypatch.setattr(measure, "chosen", lambda which: kept)
    monkeypatch.setattr(sys, "argv", ["bench", str(tmp_path), "--json", str(tmp_path / "out.json")])
    bench.main()
    said = capsys.readouterr().out
    assert "| none | 100 % (1/1) |" in said
    assert "wrong ids: 0 of 2" in said
    data = json.loads((tmp_path / "out.json").read_text())
    assert [outcome["attack"] for outcome in data["outcomes"]] == ["none", "white_20"]


def test_speed_is_timed_on_right_answers_alone(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["speed", "--ids", "6000"])
    speed.main()
    lines = capsys.readouterr().out.splitlines()
    assert "10 s, 6000 ids" in lines[0]
    assert [line.split(":")[0] for line in lines[1:]] == [
        "embedding, read back", "codewords of all ids, once a process", "query, found as it stands",
        "query, nothing found, no other scales", "query through 8 kHz, found",
    ]  # fmt: skip
    assert all(float(figure) > 0 for line in lines[1:] for figure in line.split(": ")[1].split(", "))
    monkeypatch.setattr(speed, "resampled", lambda wave, rate, to: np.random.default_rng(0).standard_normal(80_000) / 9)
    with pytest.raises(RuntimeError, match="wrong answers"):
        speed.timed(100)


def test_rival_is_as_loud_as_we_are(speech, other_speech):
    plain = speech[:96_000]
    ours = quality(plain.astype(float), marked_once(plain, 32_000, 5, measure.KEY, 2.0).astype(float)).nmr_db
    attacks = [BY_NAME["none"], BY_NAME["phone_ulaw"]]  # the second comes back at 8 kHz, which its reader refuses
    found, ratio = audiowmark.outcomes("clip", plain, other_speech, attacks, ratio_db=ours)
    assert ratio == pytest.approx(ours, abs=0.1)
    assert [(outcome.attack, outcome.seconds) for outcome in found] == [("none", 3), ("phone_ulaw", 3)]
    assert found[0].found
    _, least = audiowmark.outcomes("clip", plain, other_speech, [], ratio_db=-60.0)
    assert least > -40  # its strength has an end, and what was reached is said


def test_cells_are_compared_one_by_one():
    def outcomes(*found):
        return [measure.Outcome("c", 3, attack, "hard", found=attack in found) for attack in ("a", "b", "c", "d")]

    said = report.compared(outcomes("a", "b"), outcomes("b", "c"))
    assert said == (
        "cells of attack and length: 4; ours finds more in 1, as many in 2 (in 1 of them neither anything), "
        "fewer in 1: c 3 s"
    )
