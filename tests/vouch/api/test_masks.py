"""The doors to masks: what they answer, and who may not."""

from typing import Any

import pytest

from cloning.masks.models import VoiceMask
from cloning.models import Job, SpeechRequest
from tests.cloning import factories as make

pytestmark = pytest.mark.django_db


def test_a_mask_is_made_seen_named_spoken_through_and_ended(person: Any, api: Any) -> None:
    owner, stranger = person(), person()
    voice = make.voice(owner, make.consent(owner, uses={"own_use": True, "voice_mask": True}))
    mine, theirs = api(owner), api(stranger)
    reader = api(owner, scopes=["speak"])
    door = f"/api/v1/voices/{voice.id}/masks"

    # Who may not: a stranger, and a key that may only speak. Nothing happened.
    assert theirs.post(door, {"name": "Mine"}).status_code == 404
    assert theirs.get(door).status_code == 404
    assert reader.post(door, {"name": "Mine"}).status_code == 403
    assert not VoiceMask.objects.exists()

    asked = mine.post(door, {"name": "Day"})
    assert asked.status_code == 202, asked.content
    assert (asked.json()["state"], asked.json()["likeness"], asked.json()["stage"]) == ("making", None, "queued")
    assert mine.get(f"/api/v1/jobs/{asked.json()['job']}").json()["kind"] == "mask"
    assert mine.post(door, {"name": "Other"}).json()["code"] == "mask_being_made"
    VoiceMask.objects.filter(id=asked.json()["id"]).update(state="failed")
    Job.objects.filter(kind="mask").update(state="failed", error_code="x")

    mask = make.mask(voice)
    found = reader.get(door).json()
    assert [(one["name"], one["state"]) for one in found] == [("Stage", "ready"), ("Day", "failed")]
    assert (found[0]["likeness"], found[0]["limit"], found[0]["others_below"]) == (0.612, 0.8, 0.55)
    assert not {"seed", "disturbance", "style"} & set(found[0])
    for path in (f"/api/v1/masks/{mask.id}", f"/api/v1/masks/{mask.id}/rename", f"/api/v1/masks/{mask.id}/end"):
        answer = theirs.get(path) if path.endswith(str(mask.id)) else theirs.post(path, {"name": "X"})
        assert answer.status_code == 404
    assert reader.post(f"/api/v1/masks/{mask.id}/end", {}).status_code == 403
    assert reader.post(f"/api/v1/masks/{mask.id}/rename", {"name": "X"}).status_code == 403
    assert mine.post(f"/api/v1/masks/{mask.id}/rename", {"name": "Night"}).json()["name"] == "Night"

    said = {"voice": str(voice.id), "text": make.TEXT, "language": "en", "mask": str(mask.id)}
    spoken = mine.post("/api/v1/speech", said)
    assert spoken.status_code == 202, spoken.content
    assert spoken.json()["mask"] == str(mask.id)
    for manner in ({"pitch": 2}, {"preset": "excited"}):
        refused = mine.post("/api/v1/speech", {**said, "manner": manner})
        assert (refused.status_code, refused.json()["code"]) == (422, "mask_manner")
    unknown = mine.post("/api/v1/speech", {**said, "mask": str(voice.id)})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "mask_unknown")
    batch = {"voice": str(voice.id), "kind": "files", "language": "en", "format": "text", "content": "One.\nTwo."}
    made = mine.post("/api/v1/batches", {**batch, "mask": str(mask.id)})
    assert (made.status_code, made.json()["mask"]) == (202, str(mask.id))

    assert mine.post(f"/api/v1/masks/{mask.id}/end", {}).json()["state"] == "ended"
    over = mine.post("/api/v1/speech", said)
    assert (over.status_code, over.json()["code"]) == (410, "mask_ended")
    assert mine.post("/api/v1/batches", {**batch, "mask": str(mask.id)}).json()["code"] == "mask_ended"
    assert SpeechRequest.objects.count() == 1
