import json

import numpy as np
import pytest

from tests.watermark.codec.audiowmark.audiowmark_vectors import (
    CUTS,
    DATA,
    FIRST_20S_KEY,
    FIRST_20S_MESSAGE,
    FOLDER,
    MARKED,
    key,
    needs_folder,
    sound,
)
from watermark.codec.audiowmark import Key, embed, message_of, ours, parse_key_file, payload_of, read, report

SECRET = bytes(range(32))


def the_tools(file):
    """Where and how the tool read the file's message: {(m:ss, type)}."""
    matches = json.loads((FOLDER / file["get_json"]).read_text())["matches"]
    return {(match["pos"], match["type"]): match for match in matches if match["bits"] == file["payload"]}


def read_report(name):
    file = MARKED[name]
    wave, rate = sound(FOLDER / name)
    used = parse_key_file((FOLDER / file["key_file"]).read_text(), path=file["key_file"])
    if used.secret == Key.zero().secret:  # The tool was run without a key there, so its reports name none.
        used = Key.zero()
    return report(read(wave, rate, used), used, wave.shape[-1] / rate)


def check(name):
    file = MARKED[name]
    found = read_report(name)
    expected = the_tools(file)
    same = [match for match in found["matches"] if match["bits"] == file["payload"]]
    assert {(match["pos"], match["type"]) for match in same} == set(expected)
    for match in same:
        other = expected[match["pos"], match["type"]]
        assert match["key"] == other["key"]
        assert match["quality"] == pytest.approx(other["quality"], abs=0.03)
        assert match["error"] == pytest.approx(other["error"], abs=0.01)
        assert match["rating"] == pytest.approx(other["rating"], rel=0.02)
    assert found["matches"][0]["bits"] == file["payload"]


@needs_folder
def test_a_stereo_file_of_the_tool_is_read_where_the_tool_reads_it():
    check("e_stereo.s10.flac")


@needs_folder
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(MARKED) - {"e_stereo.s10.flac"}))
def test_all_files_of_the_tool_are_read_where_the_tool_reads_them(name):
    check(name)


@needs_folder
@pytest.mark.parametrize("cut", [c for c in CUTS if c["seconds"] == 10], ids=lambda c: c["file"])
def test_ten_seconds_cut_from_a_file_of_the_tool(cut):
    read_cut(cut)


@needs_folder
@pytest.mark.slow
@pytest.mark.parametrize("cut", [c for c in CUTS if c["seconds"] != 10], ids=lambda c: f"{c['file']}-{c['seconds']}")
def test_every_cut_of_a_file_of_the_tool(cut):
    read_cut(cut)


def read_cut(cut):
    file = MARKED[cut["file"]]
    wave, rate = sound(FOLDER / cut["file"], start=cut["start_sample"], frames=cut["seconds"] * file["rate"])
    found = [one for one in read(wave, rate, key(file["key_hex"])) if one.message.hex() == file["payload"]]
    assert found
    assert min(one.error for one in found) == pytest.approx(cut["best_error"], abs=0.02)


@needs_folder
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({file["source"] for file in MARKED.values()}))
def test_no_message_is_found_in_a_source(name):
    wave, rate = sound(FOLDER / name)
    payloads = {file["payload"] for file in MARKED.values()}
    for used in {file["key_hex"] for file in MARKED.values() if file["source"] == name}:
        assert not payloads & {one.message.hex() for one in read(wave, rate, key(used))}


def test_the_first_twenty_seconds_of_the_tools_file_and_only_with_its_key():
    wave, rate = sound(DATA / "b_first_20s.s10.flac")
    best = read(wave, rate, FIRST_20S_KEY)[0]
    assert (best.message, best.kind) == (FIRST_20S_MESSAGE, "CLIP-B")
    assert best.error < 0.4
    assert FIRST_20S_MESSAGE not in {one.message for one in read(wave, rate, Key.zero())}
    source, _ = sound(DATA / "b_first_20s.source.flac")
    assert FIRST_20S_MESSAGE not in {one.message for one in read(source, rate, FIRST_20S_KEY)}


def test_an_output_of_ours_is_read_back_with_its_payload(speech):
    """At the platform's rate; twelve seconds hold a quarter of a block."""
    wave = np.concatenate([speech, speech])[: 12 * 32_000].astype(np.float64)
    used = Key.derived(SECRET)
    marked = embed(wave, 32_000, message_of(77_777, SECRET), used, strength=15)
    assert marked.shape == wave.shape
    (hit,) = ours(read(marked, 32_000, used), SECRET)
    assert (hit.payload, hit.start_s) == (77_777, 0.0)
    assert hit.false_positive_bound < 1e-20
    assert ours(read(wave, 32_000, used), SECRET) == []


def test_a_message_with_a_foreign_tag_is_nobodys():
    message = message_of(5, SECRET)
    assert payload_of(message, SECRET) == 5
    assert payload_of(message, SECRET[::-1]) is None
    assert payload_of(message[:-1] + bytes([message[-1] ^ 1]), SECRET) is None
    assert payload_of(bytes(16), SECRET) is None
