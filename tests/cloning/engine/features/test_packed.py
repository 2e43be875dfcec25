import copy

import pytest
import torch
from torch import nn

from cloning.engine.features import packed
from cloning.engine.features.packed import PackedLinear, PackedPoint, pack


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(3)
    inner = nn.Sequential(nn.Conv2d(8, 6, 1, stride=2, bias=False), nn.ReLU(), nn.Conv2d(6, 6, 1, groups=2))
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1), inner, nn.Linear(5, 7)).requires_grad_(False).eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_layers_compute_the_same(model: nn.Module, dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 11, 11).to(dtype)
    plain = copy.deepcopy(model).to(dtype)
    fast = copy.deepcopy(plain)
    pack(fast, rows=16)
    with torch.inference_mode():
        assert torch.allclose(fast(x).float(), plain(x).float(), atol=1e-5 if dtype == torch.float32 else 0.05)


def test_only_what_is_a_product_over_channels_is_replaced(model: nn.Module) -> None:
    pack(model, rows=16)
    assert [type(part) for part in model] == [nn.Conv2d, PackedPoint, nn.Sequential, PackedLinear]
    assert [type(part) for part in model[2]] == [PackedPoint, nn.ReLU, nn.Conv2d]


def test_without_the_kernels_the_plain_layers_stay(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "can_pack", lambda: False)
    pack(model, rows=16)
    assert type(model[3]) is nn.Linear


@pytest.mark.parametrize("rows", [1, 16, 300])
def test_any_number_of_rows_is_taken(rows: int) -> None:
    linear = nn.Linear(32, 24, bias=rows == 1).requires_grad_(False)
    x = torch.randn(2, rows, 32)
    with torch.inference_mode():
        assert torch.allclose(PackedLinear(linear.weight, linear.bias, rows=16)(x), linear(x), atol=1e-5)
