"""Pruning convolutions with code of their own: as the same network of plain layers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from tests.torch.calibrate.own_layers import make_images, make_own_network
from tnm_core.torch import masks, prune_model_


@pytest.mark.parametrize("recipe", ["best", "sparsegpt", "wanda", "adaprune", "sequential"])
def test_own_code_makes_no_difference(recipe: str) -> None:
    own, plain = make_own_network(own=True), make_own_network(own=False)
    images = make_images()
    wanted = plain(images[0]).detach()
    torch.testing.assert_close(own(images[0]).detach(), wanted)
    torch.manual_seed(0)
    reports = [prune_model_(one, images, "2:4", recipe) for one in (own, plain)]
    assert len(masks(own)) == 5
    for name, mask in masks(own).items():
        assert torch.equal(mask, masks(plain)[name])
    for one, other in zip(reports[0].pruned, reports[1].pruned, strict=True):
        assert one.error == pytest.approx(other.error, rel=1e-6)
        assert one.remark is None
    torch.testing.assert_close(own(images[0]), plain(images[0]), rtol=1e-6, atol=1e-8)


class _Journal:
    def __init__(self, steps: list[Any], most: int) -> None:
        self.steps, self.most = steps, most

    def recall(self, number: int) -> Any:
        return self.steps[number] if number < len(self.steps) else None

    def keep(self, number: int, step: Any) -> None:
        self.steps.append(copy.deepcopy(step))
        if len(self.steps) == self.most:
            raise KeyboardInterrupt


def test_a_run_goes_on_where_another_one_ended() -> None:
    whole = make_own_network(own=True)
    prune_model_(whole, make_images(), "2:4")
    steps: list[Any] = []
    with pytest.raises(KeyboardInterrupt):
        prune_model_(make_own_network(own=True), make_images(), "2:4", journal=_Journal(steps, 2))
    model = make_own_network(own=True)
    prune_model_(model, make_images(), "2:4", journal=_Journal(steps, 99))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_a_chain_of_such_layers_and_several_calls_of_one() -> None:
    torch.manual_seed(0)
    own = make_own_network(own=True)
    model = nn.Sequential(own.first, nn.ReLU(), own.second, own.third, own.third)
    report = prune_model_(model, make_images(), "2:4")
    assert [one.name for one in report.pruned] == ["0", "2", "3"]
    assert all(one.error is not None and one.error < 1 for one in report.pruned)
