"""The bench writes events as they are written today."""

from foundation.audit import events
from vouch import logbench


def test_the_benchs_event_states_what_its_schema_names_and_nothing_else() -> None:
    assert events.missing(logbench.KIND, logbench._data(7)) == []
    assert events.unknown(logbench.KIND, logbench._data(7)) == []
    assert events.conforms(logbench._body(7))
