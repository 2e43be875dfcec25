"""What an offer may be called."""

import pytest

from marketplace.naming import refusal, skeleton

PROTECTED = ("Mira Lindqvist", "李星河")


@pytest.mark.parametrize(
    "title",
    [
        "A calm voice for audiobooks",
        "温和的女声",
        "Sam, friendly",
        "Mirabelle's warm alto",
        "A voice in English und Deutsch",
    ],
)
def test_ordinary_titles_are_fine(title):
    assert refusal(title, PROTECTED) is None


@pytest.mark.parametrize(
    ("title", "rule"),
    [
        ("Mira Lindqvist", "protected_name"),
        ("MIRA  LINDQVIST (young)", "protected_name"),
        ("M1ra L1ndqv1st", "protected_name"),
        ("Mira\u200bLind\u00adqvist", "protected_name"),
        ("M.i.r.a L-i-n-d-q-v-i-s-t", "protected_name"),
        ("像李星河的声音", "protected_name"),
        ("Мira Lindqvist", "mixed_scripts"),
        ("Μіrа Lіndqvіst", "mixed_scripts"),
        ("Мира", None),
        ("The official narrator", "claim"),
        ("Sounds like a star", "claim"),
        ("明星原声", "claim"),
        ("Call me @sam_voice", "contact"),
        ("voices at sam.com", "contact"),
        ("Tel 13800138000", "contact"),
    ],
)
def test_names_of_others_in_any_spelling_claims_and_contacts_are_refused(title, rule):
    found = refusal(title, PROTECTED)
    assert (found.rule if found else None) == rule


def test_titles_that_look_alike_have_one_skeleton():
    assert skeleton("Velvet Night") == skeleton("VELVET  N1GHT") == skeleton("Velvet Nіght")
    assert skeleton("Velvet Night") != skeleton("Velvet Knight")
