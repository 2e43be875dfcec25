"""Scripts of others are the files of the packages that they are said to be, and bring their licences."""

import hashlib
import re
from pathlib import Path

from django.contrib.staticfiles.finders import find

FOLDER = Path(str(find("web/vendor/README.md"))).parent


def test_every_file_has_the_digest_that_is_written_down() -> None:
    written = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", (FOLDER / "README.md").read_text(), re.MULTILINE))
    found = {
        hashlib.sha256(file.read_bytes()).hexdigest(): str(file.relative_to(FOLDER))
        for file in FOLDER.rglob("*")
        if file.is_file() and file.parent != FOLDER
    }
    assert found == written
    assert {"uplot/LICENSE", "wavesurfer/LICENSE"} <= set(found.values())


def test_they_name_no_other_place() -> None:
    for file in FOLDER.rglob("*.*s"):
        assert not re.search(r"sourceMappingURL|\bimport\s*\(|@import|url\(", file.read_text()), file.name
