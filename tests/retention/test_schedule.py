"""The public schedule says what the code does."""

from datetime import timedelta

from django.conf import settings

from cloning.recovery import FAILED_TEXT_KEPT
from cloning.tracing import KEPT
from marketplace.sounds import KEPT as SEARCH_KEPT
from retention import schedule
from retention.purposes import LIMIT, Purpose
from retention.sweeping import ABANDONED_AFTER
from safety.policy.decisions import FACTS_KEPT
from safety.strikes import STRIKE_LIFE


def test_every_hour_of_the_schedule_is_the_codes() -> None:
    hours = {one.id: timedelta(hours=one.hours) for one in schedule.rows() if one.hours is not None}
    assert hours["recording"] == hours["challenge"] == hours["derived"] == hours["document"] == LIMIT
    assert hours["trace"] == KEPT
    assert hours["search"] == SEARCH_KEPT
    assert hours["upload"] == ABANDONED_AFTER
    assert hours["text"] == FAILED_TEXT_KEPT
    assert hours["output"] == timedelta(days=settings.VOUCH_OUTPUT_DAYS)
    assert hours["policy_text"] == timedelta(days=settings.VOUCH_POLICY_TEXT_DAYS)
    assert hours["policy_decision"] == FACTS_KEPT
    assert hours["strike"] == STRIKE_LIFE
    assert set(hours) == {
        "recording", "challenge", "derived", "document", "trace", "search", "upload", "text", "output", "policy_text",
        "policy_decision", "strike",
    }  # fmt: skip


def test_every_purpose_of_custody_is_in_the_schedule() -> None:
    ids = {one.id for one in schedule.rows()}
    assert len(ids) == len(schedule.rows())
    assert {"recording" if purpose == Purpose.TRAINING else purpose.value for purpose in Purpose} <= ids
    # What has a period of its own although it is no recording.
    assert {"template", "voice", "output", "log", "server_log", "account", "consent", "market", "payout_account"} <= ids
    assert {"case", "notice", "strike", "exposure"} <= ids


def test_every_row_is_whole_in_both_languages() -> None:
    for one in schedule.rows():
        for text in (one.kind, one.purpose, one.period, one.basis, one.end):
            assert set(text) == set(schedule.LANGUAGES)
            assert all(text.values())
