"""The tables say what may follow what, and `move` keeps to them."""

from types import SimpleNamespace

import pytest

from cloning import states
from cloning.errors import IllegalTransition

TABLES = [
    (states.VOICE, states.VoiceState),
    (states.JOB, states.JobState),
    (states.OUTPUT, states.OutputState),
    (states.TRACE, states.TraceState),
]


@pytest.mark.parametrize(("table", "kind"), TABLES)
def test_every_state_has_a_row_and_every_row_names_known_states(table, kind) -> None:
    assert set(table) == {state.value for state in kind}
    assert set().union(*table.values()) <= set(table)


@pytest.mark.parametrize(("table", "kind"), TABLES)
def test_moves_outside_the_table_are_refused(table, kind) -> None:
    for begin in kind:
        for end in kind:
            thing = SimpleNamespace(state=begin.value)
            if end.value in table[begin.value]:
                states.move(thing, end, table)
                assert thing.state == end.value
            else:
                with pytest.raises(IllegalTransition):
                    states.move(thing, end, table)
                assert thing.state == begin.value


@pytest.mark.parametrize(
    ("table", "final"), [(states.VOICE, "destroyed"), (states.JOB, "cancelled"), (states.OUTPUT, "revoked")]
)
def test_nothing_leads_back_from_the_end(table, final: str) -> None:
    assert not table[final]
