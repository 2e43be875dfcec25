"""What the tests of packs share: a key the tests trust, and copies of the shipped pack that are changed and signed."""

import json
import shutil

from safety.policy import CORE, pack, signing

KEY = bytes(range(32))
TRUSTED = {"test": bytes.fromhex(signing.sign(b"", KEY)["key"])}
WEATHER = "The weather is lovely this morning and the train leaves at nine."


def copy_of_core(tmp_path):
    return shutil.copytree(CORE, tmp_path / "core")


def change(folder, name, edit):
    """Edits one JSON file of a pack in place."""
    file = folder / name
    data = json.loads(file.read_text())
    edit(data)
    file.write_text(json.dumps(data))


def sign(folder, key=KEY):
    signing.write(folder, signing.sign(pack.read(folder).canonical(), key))
    return folder


def load(folder):
    """As written, signed by the tests' key on the way."""
    return pack.load(sign(folder), trusted=TRUSTED)


def small(*rules, features=(), thresholds=None, terms=None):
    """A pack as data, compiled."""
    source = pack.PackSource.model_validate(
        {
            "head": {
                "name": "small",
                "version": "1",
                "languages": ["en"],
                "thresholds": thresholds or {},
                "clauses": {"a.clause": "A clause."},
            },
            "terms": {"en": terms or {}},
            "patterns": {},
            "features": [{"name": name, "value": value} for name, value in features],
            "rules": list(rules),
        }
    )
    return pack.compile_pack(source)


def rule(when, *, name="a.rule", outcome="hold", match=WEATHER, clean="Nothing at all.", **more):
    examples = {"match": [match], "clean": [clean], "facts": more.pop("facts", {})}
    if "clean_facts" in more:
        examples["clean_facts"] = more.pop("clean_facts")
    return {
        "id": name, "when": when, "clause": "a.clause", "outcome": outcome, "severity": 1, "examples": examples, **more
    }  # fmt: skip
