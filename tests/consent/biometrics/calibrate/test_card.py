"""The card's section on attacks, printed from a file of figures."""

import json

import pytest

from consent.biometrics.calibrate import card

ROW = {
    "species": "a clone", "steps": ["spoof"], "n": 40, "targets": 8, "accepted": 1, "apcer_bound": 0.1135,
    "stopped_by": {"spoof": 39}, "refused_by": {"spoof": 0.975},
}  # fmt: skip
READ = {
    "condition": "noise 20 dB", "tries": 12, "understood": 9, "people": 4, "people_understood": 4, "partly_wrong": 12,
    "partly_wrong_accepted": 0, "pairs": 3600, "pairs_mistaken": 0, "mistaken_bound": 0.00083,
}  # fmt: skip


def test_figures_take_the_place_of_the_section_and_nothing_else(tmp_path) -> None:
    figures, out = tmp_path / "attacks.json", tmp_path / "card.md"
    figures.write_text(json.dumps({"species": [ROW], "genuine": ROW, "readings": [READ], "notes": ["A note."]}))
    out.write_text(f"# Card\n\nKept.\n\n{card.ATTACKS}\n\nNot measured in this run.\n")
    card.print_attacks(out, figures)
    text = out.read_text()
    assert text.startswith("# Card\n\nKept.\n")
    assert "Not measured in this run.\n" not in text
    assert "| a clone | 40 (8) | 2.5 (11.3) | spoof 39 | spoof 98 |" in text
    assert "| noise 20 dB | 12 | 25.0 | 4 | 0.0 | 0 of 12 | 0 of 3600 (0.083) |" in text
    assert "Not measured in this run: replay of an old challenge, spliced own words, butt joints, " in text
    assert "A note." in text
    card.print_attacks(out, figures)
    assert out.read_text() == text


def test_a_page_without_the_section_is_left_alone(tmp_path) -> None:
    figures, out = tmp_path / "attacks.json", tmp_path / "card.md"
    figures.write_text(json.dumps({"species": []}))
    out.write_text("# Another page\n")
    with pytest.raises(ValueError, match="no section"):
        card.print_attacks(out, figures)
    assert out.read_text() == "# Another page\n"
