import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloning.engine.errors import TextError
from cloning.engine.text.openjtalk.dictionary import SHIPPED, Dictionary, shipped
from cloning.engine.text.openjtalk.lattice import morphemes


def test_entries_keep_the_order_of_the_source() -> None:
    entries, more = shipped().entries("橋")
    assert more
    assert [entry.surface for entry in entries] == ["橋"] * len(entries)
    assert ("名詞", "一般", "*", "*", "*", "*", "橋", "ハシ", "ハシ", "2/2", "C3") in [e.feature for e in entries]
    assert shipped().entries("橋の端で") == ((), False)
    assert shipped().entries("\u0000") == ((), False)


def test_prefixes_come_shortest_first() -> None:
    found = [entry.surface for entry in shipped().prefixes("東京都に住む", 0)]
    assert list(dict.fromkeys(found)) == ["東", "東京"]


def test_characters_have_classes() -> None:
    katakana, kanji, digit = (shipped().character(letter) for letter in "ア漢９")
    assert katakana.group
    assert not kanji.group
    assert digit.kind != katakana.kind != kanji.kind
    assert shipped().character("𠮷") == shipped().character("\0")


def test_connections_have_a_row_for_every_class() -> None:
    assert shipped().connections.shape == (1377, 1377)


def test_unknown_words_and_known_ones_share_a_path() -> None:
    assert [entry.surface for entry in morphemes(shipped(), "東京のЯблоко")] == ["東京", "の", "Яблоко"]
    assert morphemes(shipped(), "") == []


def test_threads_get_the_same_answers() -> None:
    dictionary = Dictionary()
    texts = ["吾輩は猫である", "名前はまだ無い", "どこで生れたか頓と見当がつかぬ", "何でも薄暗いじめじめした所で"] * 4

    def read(text: str) -> list[str]:
        return [entry.surface for entry in morphemes(dictionary, text)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, texts)) == [[e.surface for e in morphemes(shipped(), text)] for text in texts]


def test_a_damaged_dictionary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="dictionary_missing"):
        Dictionary(tmp_path / "none.zip")
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(TextError, match="dictionary_damaged"):
        Dictionary(tmp_path / "text.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("other", b"")
    with pytest.raises(TextError, match=r"lacks its part about\.json"):
        Dictionary(tmp_path / "empty.zip")
    with zipfile.ZipFile(SHIPPED) as source, zipfile.ZipFile(tmp_path / "block.zip", "w") as archive:
        archive.writestr("about.json", source.read("about.json"))
        for number in range(4):
            archive.writestr(f"blocks/{number:05d}", "one\ttwo\nthree")
    damaged = Dictionary(tmp_path / "block.zip")
    with pytest.raises(TextError, match="columns"):
        damaged.entries(shipped()._first[1])
    with pytest.raises(TextError, match="lacks its part blocks"):
        damaged.entries("東")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("about.json", bytes(1 << 26))
    with pytest.raises(TextError, match="larger than it may be"):
        Dictionary(tmp_path / "bomb.zip")


def test_the_licence_travels_with_the_data() -> None:
    with zipfile.ZipFile(SHIPPED) as archive:
        assert b"Nara Institute of Science and Technology" in archive.read("COPYING")
