import subprocess
import sys

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from watermark.models import IssuedMark, MarkRecord
from watermark.selectors import fingerprints_for, issued_index, issued_payloads, output_ref_for, output_refs_for
from watermark.services import MarkConflict, issue_mark, record_sound

pytestmark = pytest.mark.django_db


def test_issued_mark_leads_back_to_its_output():
    mark = issue_mark(output_ref="out-1", rehearsal=False)
    assert 0 < mark.payload < 2**48
    assert output_ref_for(mark.payload) == "out-1"
    assert output_refs_for([mark.payload, 1]) == {mark.payload: "out-1"}
    assert issued_payloads() == [mark.payload]
    assert issued_payloads(epoch=2) == []
    assert output_ref_for(1) is None


def test_asking_twice_gives_one_mark():
    assert issue_mark(output_ref="out-1", rehearsal=True).pk == issue_mark(output_ref="out-1", rehearsal=True).pk
    with pytest.raises(MarkConflict):
        issue_mark(output_ref="out-1", rehearsal=False)


def test_payloads_differ():
    assert len({issue_mark(output_ref=f"out-{index}", rehearsal=False).payload for index in range(20)}) == 20


@pytest.mark.parametrize("ref", ["", "x" * 65])
def test_bad_reference_is_refused(ref):
    with pytest.raises(ValueError, match="1 to 64"):
        issue_mark(output_ref=ref, rehearsal=False)


def test_registry_cannot_be_changed_or_emptied():
    mark = issue_mark(output_ref="out-1", rehearsal=False)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        IssuedMark.objects.filter(pk=mark.pk).update(output_ref="other")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        mark.delete()
    assert output_ref_for(mark.payload) == "out-1"


def known(mark, data=b"\x1f\xff"):
    return record_sound(mark=mark, print_of_sound=data, strength_db=1.5, score=15.0, voice_note_score=11.0)


def test_record_of_a_sound_is_written_once_and_never_changed():
    mark = issue_mark(output_ref="out-1", rehearsal=False)
    record = known(mark)
    assert fingerprints_for([mark.payload, 1]) == {mark.payload: b"\x1f\xff"}
    with pytest.raises(IntegrityError), transaction.atomic():
        known(mark)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        MarkRecord.objects.filter(pk=record.pk).update(score=1.0)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        record.delete()
    assert MarkRecord.objects.get().score == 15.0


@pytest.mark.parametrize("data", [b"", b"odd", bytes(400_000)])
def test_what_is_no_fingerprint_is_not_recorded(data):
    with pytest.raises(ValueError, match="no fingerprint"):
        known(issue_mark(output_ref="out-1", rehearsal=False), data)
    assert not MarkRecord.objects.exists()


def test_index_follows_the_registry():
    first = issue_mark(output_ref="out-1", rehearsal=False)
    index = issued_index()
    assert list(index) == [first.payload]
    second = issue_mark(output_ref="out-2", rehearsal=True)
    assert issued_index() is index
    assert list(index) == [first.payload, second.payload]
    assert len(issued_index(epoch=2)) == 0


def test_index_begins_anew_when_a_lower_number_was_committed_late():
    IssuedMark.objects.create(id=10_000_002, payload=7, output_ref="early", rehearsal=False)
    assert set(issued_index()) == {7}
    IssuedMark.objects.create(id=10_000_001, payload=5, output_ref="late", rehearsal=False)
    assert set(issued_index()) == {5, 7}


@pytest.mark.parametrize("payload", [0, -1, 2**48])
def test_database_refuses_a_payload_out_of_range(payload):
    with pytest.raises(IntegrityError), transaction.atomic():
        IssuedMark.objects.create(payload=payload, output_ref="out-1", rehearsal=False)


def test_nothing_here_loads_torch():
    code = (
        "import sys, django; django.setup()\n"
        "import watermark.models, watermark.services, watermark.selectors, watermark.trace, watermark.seal\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
