"""Reports fit a line at a prompt; printed, they are tables."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import tnm_core.torch as adapters
from tests.test_short_repr import holders
from tnm_core.short_repr import short_repr
from tnm_core.torch.calibrate import collect_statistics

PACKAGES = (
    "tnm_core.torch",
    "tnm_core.torch.calibrate",
    "tnm_core.torch.calibrate.allocate",
)


@pytest.mark.parametrize("holder", holders(PACKAGES), ids=lambda one: one.__name__)
def test_results_have_a_short_repr(holder: type) -> None:
    assert holder.__repr__ is short_repr


def test_reports_of_many_layers_are_short() -> None:
    model, other = (nn.Sequential(*[nn.Linear(16, 16) for _ in range(50)]) for _ in range(2))
    batches = [torch.randn(4, 16)]
    shown = [
        repr(collect_statistics(model, batches)),
        repr(adapters.sparsify_(model)),
        repr(adapters.to_sparse_linear_(other)),
    ]
    assert "<50 LayerReport>" in shown[1]
    for text in shown:
        assert "\n" not in text
        assert len(text) < 300
