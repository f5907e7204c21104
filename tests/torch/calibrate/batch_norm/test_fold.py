"""Folded models give what they gave; what cannot be folded stays and is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import tnm_core as tnm
from tnm_core.skip import SkipCode
from tnm_core.torch import (
    masks,
    pack_for_inference_,
    remove_sparsity_,
    sparsify_,
    to_sparse_linear_,
)
from tnm_core.torch.calibrate import fold_batch_norm_


def _unlike_new_(model: nn.Module) -> nn.Module:
    """Give normalisations statistics, scales and shifts that make a difference."""
    generator = torch.Generator().manual_seed(0)
    for norm in model.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            for one in (*norm.parameters(), *norm.buffers()):
                if one.is_floating_point():
                    one.data.uniform_(0.3, 2.0, generator=generator)
    return model.eval()


class SamePadding(nn.Conv2d):
    """Pads in code of its own, as TensorFlow does."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        padded = nn.functional.pad(input, (0, 1, 0, 1))
        return nn.functional.conv2d(padded, self.weight, self.bias, groups=self.groups)


PAIRS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "1d": (nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6)), (2, 4, 5)),
    "2d, no bias": (nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6)), (2, 4, 5, 5)),
    "3d": (nn.Sequential(nn.Conv3d(2, 4, 2), nn.BatchNorm3d(4)), (2, 2, 3, 3, 3)),
    "no scale": (nn.Sequential(nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6, affine=False)), (2, 4, 3, 3)),
    "groups": (nn.Sequential(nn.Conv2d(6, 6, 2, groups=6), nn.BatchNorm2d(6)), (2, 6, 3, 3)),
    "transposed": (nn.Sequential(nn.ConvTranspose2d(4, 6, 2), nn.BatchNorm2d(6)), (2, 4, 3, 3)),
    "linear": (nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)), (5, 4)),
    "own padding": (nn.Sequential(SamePadding(4, 6, 2), nn.BatchNorm2d(6)), (2, 4, 3, 3)),
    "bfloat16": (nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)).bfloat16(), (5, 4)),
    "double": (nn.Sequential(nn.Linear(4, 6, False), nn.BatchNorm1d(6)).double(), (5, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_pairs(name: str) -> None:
    model, shape = PAIRS[name]
    _unlike_new_(model)
    dtype = model[0].weight.dtype
    torch.manual_seed(0)
    batch, other = torch.randn(shape).to(dtype), torch.randn(shape).to(dtype)
    before = model(other)
    report = fold_batch_norm_(model, batch)
    assert report.folded == {"1": "0"}
    assert not report.skips
    assert type(model[1]) is nn.Identity
    assert str(report) == "1 folded, 0 left\n  1: into 0"
    rounding = 0.05 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(model(other), before, atol=rounding, rtol=rounding)
    assert model[0].weight.dtype == model[0].bias.dtype == dtype


class Reused(nn.Module):
    """The output of the layer, or the layer, is used in another way, too."""

    def __init__(self, use: Callable[[Any, torch.Tensor], Any]) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.other = nn.BatchNorm2d(3)
        self.use = use

    def forward(self, x: torch.Tensor) -> Any:
        return self.use(self, x)


def _around(model: Reused, x: torch.Tensor) -> torch.Tensor:
    made = model.conv(x)
    return model.norm(made) + made


def _before(model: Reused, x: torch.Tensor) -> torch.Tensor:
    made = model.conv(x)
    total = made.sum()
    return model.norm(made) * total


def _in_a_list(model: Reused, x: torch.Tensor) -> torch.Tensor:
    made = model.conv(x)
    return torch.cat([model.norm(made), made])


def _read(model: Reused, x: torch.Tensor) -> torch.Tensor:
    made = model.conv(x)
    return model.norm(made) * made.view(-1)[0].item()


def _returned(model: Reused, x: torch.Tensor) -> dict[str, Any]:
    made = model.conv(x)
    return {"made": (made,), "normed": model.norm(made)}


def _two_norms(model: Reused, x: torch.Tensor) -> torch.Tensor:
    made = model.conv(x)
    return model.norm(made) + model.other(made)


def _twice(model: Reused, x: torch.Tensor) -> torch.Tensor:
    return model.norm(model.conv(x)) + model.conv(-x)


def _norm_twice(model: Reused, x: torch.Tensor) -> torch.Tensor:
    return model.norm(model.conv(x)) + model.norm(x)


def _in_place(model: Reused, x: torch.Tensor) -> torch.Tensor:
    return model.norm(model.conv(x).relu_())


ELSEWHERE = [_around, _before, _in_a_list, _read, _returned, _two_norms, _twice, _in_place]


@pytest.mark.parametrize("use", [*ELSEWHERE, _norm_twice])
def test_what_is_used_elsewhere_is_left(use: Callable[[Any, torch.Tensor], Any]) -> None:
    model = _unlike_new_(Reused(use))
    before = {name: one.clone() for name, one in model.state_dict().items()}
    report = fold_batch_norm_(model, torch.randn(2, 3, 4, 4))
    assert not report.folded
    alone = use is _norm_twice
    expected = SkipCode.NOT_AFTER_LAYER if alone else SkipCode.OUTPUT_USED_ELSEWHERE
    assert report.skips["norm"].code is expected
    if use is not _two_norms:
        assert report.skips["other"].code is SkipCode.NORM_UNREACHED
    for name, one in model.state_dict().items():
        assert torch.equal(one, before[name])


def test_asking_for_a_shape_is_no_use() -> None:
    def ask(model: Reused, x: torch.Tensor) -> torch.Tensor:
        made = model.conv(x)
        assert made.shape[1] == made.size(1) == 3
        assert made.dim() == 4
        return model.norm(made)

    assert fold_batch_norm_(_unlike_new_(Reused(ask)), torch.randn(2, 3, 4, 4)).folded


class Standardised(nn.Conv2d):
    """Multiplies by another matrix than its weight."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        weight = self.weight / self.weight.norm()
        return nn.functional.conv2d(input, weight, self.bias)


class NormAndActivation(nn.BatchNorm2d):
    """Does more than normalise."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input).relu()


def _hooked(model: nn.Sequential) -> nn.Sequential:
    model[0].register_forward_hook(lambda *_: None)
    return model


def _tied(model: nn.Sequential) -> nn.Sequential:
    model.add_module("again", nn.Conv2d(3, 3, 1))
    model.again.weight = model[0].weight
    return model


def _pair() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))


LEFT: list[tuple[Callable[[], nn.Module], str]] = [
    (lambda: nn.Sequential(Standardised(3, 3, 1), nn.BatchNorm2d(3)), "its code does more"),
    (lambda: nn.Sequential(nn.Conv2d(3, 3, 1), NormAndActivation(3)), "type is NormAndActivation"),
    (lambda: nn.Sequential(nn.BatchNorm2d(3)), "output of one convolution"),
    (lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3)), "one convolution"),
    (lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)),
     "keeps no running statistics"),
    (lambda: nn.Sequential(nn.ConvTranspose2d(3, 3, 1, groups=3), nn.BatchNorm2d(3)),
     "transposed convolution in 3 groups"),
    (lambda: nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3)),
     "another parametrisation"),
    (lambda: _hooked(_pair()), "has hooks"),
    (lambda: _tied(_pair()), "shared with another module"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), LEFT)
def test_what_cannot_be_folded_is_left_and_named(make: Callable[[], nn.Module], words: str) -> None:
    model = _unlike_new_(make())
    x = torch.randn(2, 3, 4, 4)
    before = model(x)
    report = fold_batch_norm_(model, x)
    ((_, sentence),) = report.skipped.items()
    assert words in sentence
    assert words in str(report)
    assert torch.equal(model(x), before)


def test_one_left_does_not_keep_others() -> None:
    layers = [nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), Standardised(3, 3, 1), nn.BatchNorm2d(3)]
    model = _unlike_new_(nn.Sequential(*layers))
    x = torch.randn(2, 3, 4, 4)
    before = model(x)
    report = fold_batch_norm_(model, x)
    assert (list(report.folded), list(report.skips)) == (["1"], ["3"])
    torch.testing.assert_close(model(x), before)


def test_a_layer_under_two_names() -> None:
    model = nn.Sequential(_pair())
    model.add_module("again", model[0])
    _unlike_new_(model)
    x = torch.randn(2, 3, 4, 4)
    before = model(x)
    assert fold_batch_norm_(model, x).folded == {"0.1": "0.0"}
    torch.testing.assert_close(model(x), before)


def test_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'?1'? is in training mode, expected evaluation"):
        fold_batch_norm_(_pair().train(), torch.randn(2, 3, 4, 4))


def test_outputs_that_change_unseen_put_everything_back() -> None:
    """TorchScript is not looked into; the outputs of the whole model tell."""

    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made = self.conv(x)
            with torch._C.DisableTorchFunction():
                other = made.sum()
            return self.norm(made) + other

    model = _unlike_new_(Hidden())
    x = torch.randn(2, 3, 4, 4)
    before = model(x)
    with pytest.raises(ValueError, match="outputs are others"):
        fold_batch_norm_(model, x)
    assert torch.equal(model(x), before)


def test_masks_stay_and_pack() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(8, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU6(),
        nn.Conv2d(64, 64, 3, padding=1, groups=64, bias=False), nn.BatchNorm2d(64), nn.ReLU6(),
        nn.Conv2d(64, 64, 1, bias=False), nn.BatchNorm2d(64),
    )  # fmt: skip
    _unlike_new_(model)
    sparsify_(model, "2:4", layers=(nn.Conv2d,))
    x = torch.randn(2, 8, 6, 6)
    with torch.no_grad():
        before, kept = model(x), masks(model)
        assert len(fold_batch_norm_(model, x).folded) == 3
        torch.testing.assert_close(model(x), before, rtol=1e-5, atol=1e-5)
        assert all(torch.equal(mask, masks(model)[name]) for name, mask in kept.items())
        remove_sparsity_(model)
        for name, mask in kept.items():
            weight = model.get_submodule(name).weight
            assert torch.equal(weight != 0, mask)
            assert tnm.is_transposable((weight[:, :, 0, 0] != 0).numpy(), 2, 4)
        packed = pack_for_inference_(model, backend="cpu", include=["0", "6"])
        assert list(packed.packed) == ["0", "6"]
        torch.testing.assert_close(model(x), before, rtol=1e-5, atol=1e-5)


def test_packed_layers_are_named() -> None:
    torch.manual_seed(0)
    for convert in (to_sparse_linear_, pack_for_inference_):
        model = _unlike_new_(nn.Sequential(nn.Conv2d(64, 64, 1), nn.BatchNorm2d(64)))
        convert(model, "2:4", backend="cpu")
        report = fold_batch_norm_(model, torch.randn(1, 64, 2, 2))
        assert report.skips == {"1": SkipCode.FOLD_BEFORE_PACKING(layer="0")}
