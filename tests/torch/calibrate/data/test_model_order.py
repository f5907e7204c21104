"""What a run of a model shows: the order of its layers, their groups, residuals, the chain."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.torch.calibrate.networks import WIDTH, Detour, make_batches, make_network
from tnm_core.torch import prune_model_
from tnm_core.torch.calibrate.data import (
    Calibration,
    execution_order,
    find_chain,
    find_residuals,
)


def test_order_groups_residuals_and_chain_are_found() -> None:
    model, calibration = make_network().eval(), Calibration(make_batches())
    layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    order = execution_order(model, calibration, layers)
    batch = order.batch
    assert order.unreached == ()
    assert [group.names for group in order.groups] == [
        ("stem",),
        ("blocks.0.gate", "blocks.0.up"),
        ("blocks.0.down",),
        ("blocks.1.gate", "blocks.1.up"),
        ("blocks.1.down",),
        ("last",),
    ]
    found = find_residuals(model, calibration, batch, list(layers))
    # The input of the block and that of its norm are the same stream.
    assert found == {f"blocks.{i}.down": f"blocks.{i}.norm" for i in (0, 1)}
    chain = find_chain(model, calibration, batch, list(layers))
    assert chain is not None
    assert chain.blocks == ("blocks.0", "blocks.1")
    assert chain.block_of("blocks.1.up") == "blocks.1"
    assert chain.block_of("last") is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_residuals_are_found_through_the_rounding_of_sums(dtype: torch.dtype) -> None:
    model, batch = make_network().eval().to(dtype), make_batches()[0].to(dtype)
    layers = [n for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    found = find_residuals(model, Calibration([batch]), batch, layers)
    assert found == {f"blocks.{i}.down": f"blocks.{i}.norm" for i in (0, 1)}


def test_what_is_no_chain_is_not_taken_for_one() -> None:
    model = Detour()
    data = [torch.randn(8, 10, WIDTH) for _ in range(2)]
    names = [n for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    assert find_chain(model, Calibration(data), data[0], names) is None
    report = prune_model_(model, data, "2:4")
    assert len(report.pruned) == 6


def test_large_inputs_have_positions_that_exist() -> None:
    """float32 rounds 19,267,583 to the next number."""
    batch = torch.zeros(1).expand(19_267_584)  # takes no memory
    assert find_residuals(nn.Sequential(nn.Identity()), Calibration([batch]), batch, []) == {}
