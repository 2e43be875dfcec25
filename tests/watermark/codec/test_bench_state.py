"""A bench that was stopped goes on where it stopped, and several of them add up to one."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from watermark.codec import measured
from watermark.codec.bench import __main__ as bench
from watermark.codec.bench import measure, report
from watermark.codec.bench.attacks import ATTACKS

SHORT = [attack for attack in ATTACKS if attack.name in ("none", "white_20")]


@pytest.fixture
def clips(tmp_path, speech, other_speech):
    """Two clips of 2 s, one of 3."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, start, seconds in (("02s_000_a", 0, 2), ("02s_001_a", 40_000, 2), ("03s_000_a", 20_000, 3)):
        soundfile.write(folder / f"{name}.wav", speech[start : start + seconds * 32_000], 32_000)
    soundfile.write(folder / "other.wav", np.resize(other_speech, 40 * 32_000), 32_000)
    return folder


@pytest.fixture
def run(clips, monkeypatch, capsys):
    """Run a command with two attacks; its output."""
    monkeypatch.setattr(measure, "chosen", lambda which: SHORT)
    kept = signal.getsignal(signal.SIGTERM)

    def command(module, *arguments):
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
        module.main()
        return capsys.readouterr().out

    yield command
    signal.signal(signal.SIGTERM, kept)


def without_times(data):
    return {
        name: [{key: value for key, value in item.items() if key != "embed_s"} for item in items]
        for name, items in data.items() if name != "speed"
    }  # fmt: skip


def test_going_on_measures_what_is_left_and_says_what_one_run_says(clips, run, tmp_path):
    state, whole = tmp_path / "state.jsonl", tmp_path / "whole.json"
    run(bench, clips, "--json", whole)
    run(bench, clips, "--state", state, "--limit", 1)
    first = state.read_bytes()
    names = [json.loads(line)["clip"]["name"] for line in first.splitlines()[1:]]
    assert names == ["02s_000_a", "03s_000_a"]  # one of each length before the second of any
    state.write_bytes(first + b'{"sha256": "cut off when it was stop')
    run(bench, clips, "--state", state)
    assert state.read_bytes().startswith(first)
    assert [json.loads(line)["clip"]["name"] for line in state.read_bytes().splitlines()[1:]] == [*names, "02s_001_a"]
    table, added = tmp_path / "measured.json", tmp_path / "added.json"
    said = run(report, state, "--table", table, "--json", added)
    assert "| none | 100 % (2/2) | 100 % (1/1) |" in said
    order = lambda data: {name: sorted(items, key=str) for name, items in without_times(data).items()}  # noqa: E731
    assert order(json.loads(added.read_text())) == order(json.loads(whole.read_text()))
    rows = [measured.Row(**row) for row in json.loads(table.read_text())["rows"]]
    assert {(row.seconds, row.group, row.of) for row in rows} == {
        (2.0, "benign", 2), (2.0, "extreme", 2), (3.0, "benign", 1), (3.0, "extreme", 1),
    }  # fmt: skip


def test_states_add_up_and_a_clip_counts_once(clips, run, tmp_path):
    one, both = tmp_path / "one.jsonl", tmp_path / "both.jsonl"
    run(bench, clips, "--state", one, "--limit", 1)
    run(bench, clips, "--state", both)
    said = run(report, one, both)
    assert "| none | 100 % (2/2) | 100 % (1/1) |" in said
    assert "wrong ids: 0 of 6" in said


def test_what_was_measured_otherwise_is_refused(clips, run, tmp_path):
    state, other = tmp_path / "state.jsonl", tmp_path / "other.jsonl"
    run(bench, clips, "--state", state, "--limit", 1)
    with pytest.raises(ValueError, match="with another strength"):
        run(bench, clips, "--state", state, "--strength", 1.5)
    head, *lines = state.read_text().splitlines(keepends=True)
    other.write_text(json.dumps({**json.loads(head), "code_sha256": "another"}) + "\n" + "".join(lines))
    with pytest.raises(ValueError, match="with another code_sha256"):
        run(report, state, other)
    other.write_text(head)
    with pytest.raises(ValueError, match="no clip is finished"):
        run(report, other)
    other.write_text("")
    with pytest.raises(ValueError, match="no state"):
        run(report, other)


def test_stopping_leaves_whole_lines(clips, tmp_path):
    state = tmp_path / "state.jsonl"
    command = [sys.executable, "-m", "watermark.codec.bench", str(clips), "--state", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 100
        while time.monotonic() < until and (not state.exists() or state.read_bytes().count(b"\n") < 2):
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    lines = state.read_bytes().splitlines(keepends=True)
    assert 2 <= len(lines) < 4
    assert all(json.loads(line) for line in lines)
    assert len(json.loads(lines[1])["outcomes"]) == len(measure.chosen("core"))
