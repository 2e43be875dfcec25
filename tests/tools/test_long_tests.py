"""The list of long tests names tests that exist."""

from __future__ import annotations

import re

from tests.tools.long_tests import FOLDERS, LIST, is_long, long_tests

ROOT = LIST.parents[1]


def test_every_line_names_a_test_that_exists() -> None:
    for line in LIST.read_text("utf-8").splitlines():
        path, _, name = line.partition("::")
        if line.endswith("/"):
            assert (ROOT / path).is_dir(), line
        else:
            assert re.search(rf"def {re.escape(name.partition('[')[0])}\(", (ROOT / path).read_text("utf-8")), line


def test_only_calls_that_take_long_are_listed_and_folders_whole() -> None:
    report = ["12.31s call     tests/a/test_b.py::test_c[two words]", "2.9s call     tests/a/test_b.py::test_d"]
    report += ["40.00s setup    tests/a/test_b.py::test_e", "9.00s call     tests/e2e/test_f.py::test_g", "nonsense"]
    listed = long_tests(report)
    assert listed == [*FOLDERS, "tests/a/test_b.py::test_c[two words]"]
    assert is_long("tests/a/test_b.py::test_c[two words]", listed)
    assert is_long("tests/e2e/test_f.py::test_g", listed)
    assert not is_long("tests/a/test_b.py::test_c", listed)
    assert not is_long("tests/a/test_b.py::test_c[two words]x", listed)
