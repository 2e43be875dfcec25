import subprocess
import sys

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from watermark.models import IssuedMark
from watermark.selectors import issued_payloads, output_ref_for, output_refs_for
from watermark.services import MarkConflict, issue_mark

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
