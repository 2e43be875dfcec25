"""What a page says of a licence's scope."""

from vouch.web.templatetags.licensing import clauses


def test_a_clause_that_a_licence_leaves_open_is_the_consents() -> None:
    said = dict(clauses({}))
    assert said["Languages"] == said["Territory"] == said["Special uses"] == "as the consent"


def test_what_a_licence_names_is_said_and_nothing_is_none() -> None:
    said = dict(clauses({"languages": ["zh", "en"], "uses": []}))
    assert said["Languages"] == "English, Chinese"
    assert said["Special uses"] == "none"
