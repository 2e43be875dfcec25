"""Marks for tests of arithmetic that a processor may lack; what the engine does then is in `test_processor`."""

from __future__ import annotations

import pytest

from cloning.engine.processor import has_bfloat16, has_int8

needs_bfloat16 = pytest.mark.skipif(not has_bfloat16(), reason="needs a processor with bfloat16 products")
needs_int8 = pytest.mark.skipif(not has_int8(), reason="needs a processor with VNNI")
