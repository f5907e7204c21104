"""A layer with packed weights does not multiply by a mask that is none any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tests.torch.refusals import assert_refused
from tnm_core.torch import TransposableLinear, load_masks_, masks

X = torch.ones(2, 16)

USES: list[Callable[[TransposableLinear], object]] = [
    lambda layer: layer(X),
    lambda layer: layer.eval()(X),
    lambda layer: layer.repack(),
    lambda layer: layer.masked_weight(),
    masks,
]


@pytest.mark.parametrize("backend", ["dense", "emulate", "cpu"])
@pytest.mark.parametrize("use", USES)
def test_broken_masks_are_refused(
    backend: Any, use: Callable[[TransposableLinear], object]
) -> None:
    layer = TransposableLinear(16, 16, backend=backend)
    good = layer.mask.clone()
    layer(X)
    layer.mask[0] = True
    for _ in range(2):
        assert_refused(lambda: use(layer), ValueError, "not 2:4 transposable", "load_masks_")
    layer.set_mask(~good)
    use(layer)


def test_averages_are_refused_and_mended() -> None:
    model = nn.Sequential(TransposableLinear(16, 16, backend="dense"))
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    averaged.update_parameters(model)
    load_masks_(model, {"0": ~masks(model)["0"]})
    averaged.update_parameters(model)
    assert_refused(lambda: averaged(X), ValueError, "not 2:4 transposable")
    load_masks_(averaged.module, masks(model))
    assert torch.equal(averaged(X), model(X))
