"""What arithmetic this processor has of its own. What it lacks is emulated slowly by torch, fails inside oneDNN, or, in
8-bit integers, gives other numbers: without VNNI pairs of products are summed in 16 bits, which overflow unseen."""

from __future__ import annotations

import torch

from cloning.engine.errors import EngineError


def has_bfloat16() -> bool:
    """Products of bfloat16 in oneDNN (on x86-64: AVX-512, better with AVX512-BF16 or AMX)."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def has_int8() -> bool:
    """Sums of 8-bit products in 32 bits (VNNI)."""
    return bool(torch.cpu._is_vnni_supported())


def check_bfloat16() -> None:
    """Raises EngineError `unsupported_precision`."""
    if not has_bfloat16():
        raise EngineError("unsupported_precision", "this processor has no bfloat16 products; use float32")


def check_int8() -> None:
    """Raises EngineError `unsupported_precision`."""
    if not has_int8():
        raise EngineError("unsupported_precision", "this processor sums 8-bit products too narrowly; use float32")
