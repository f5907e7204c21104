"""Models that write into tensors after a layer got or returned them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from tnm_core.torch import prune_model_
from tnm_core.torch.calibrate import collect_statistics
from tnm_core.torch.calibrate.data import Calibration, execution_order, find_chain

WIDTH = 16


class Writing(nn.Module):
    """The same function, with and without writing into tensors."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.in_place = in_place
        self.blocks = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(3))


class BetweenBlocks(Writing):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = functional.elu(block(x), inplace=self.in_place)
        return x


class OutputsOfAPair(Writing):
    """Two layers with one input, of which the first one's output is overwritten."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, up, down = self.blocks
        gated = functional.silu(gate(x), inplace=self.in_place)
        return down(gated * up(x))


class OutputsOfASharedLayer(Writing):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shared = self.blocks[0]
        for _ in range(2):
            x = functional.elu(shared(x), inplace=self.in_place)
        return self.blocks[2](self.blocks[1](x))


class InputsOfTwo(Writing):
    """Two layers that get one tensor, with other values."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second, third = self.blocks
        x = x + 0.25
        one = first(x)
        x = functional.relu(x, inplace=self.in_place)
        return third(one + second(x))


class AStream(Writing):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        for block in self.blocks:
            if self.in_place:
                x += block(x)
            else:
                x = x + block(x)
        return x


KINDS = [BetweenBlocks, OutputsOfAPair, OutputsOfASharedLayer, InputsOfTwo, AStream]


def _data() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(3, 20, WIDTH, generator=generator) for _ in range(3)]


# Torch cannot train the others: they overwrite what their gradients need.
TRAINED = [BetweenBlocks, OutputsOfASharedLayer]


@pytest.mark.parametrize(
    ("kind", "recipe"),
    [
        *((kind, recipe) for kind in KINDS for recipe in ("least_squares", "best")),
        *((kind, "tuned") for kind in TRAINED),
    ],
)
def test_pruned_as_the_model_that_does_not(kind: Any, recipe: str) -> None:
    writing, other = kind(in_place=True), kind(in_place=False)
    found, expected = (prune_model_(one, _data(), "2:4", recipe) for one in (writing, other))
    for one, two in zip(found.layers, expected.layers, strict=True):
        assert one.name == two.name
        assert one.error == pytest.approx(two.error, rel=1e-4)
    for (name, one), two in zip(writing.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_are_those_of_the_calls(kind: Any) -> None:
    found, expected = (collect_statistics(kind(in_place), _data()) for in_place in (True, False))
    assert found.layers.keys() == expected.layers.keys()
    for name, one in found.layers.items():
        for key, value in one.state_dict().items():
            torch.testing.assert_close(value, expected.layers[name].state_dict()[key])


def test_what_was_written_into_in_between_is_another_tensor() -> None:
    model, data = InputsOfTwo(in_place=True), Calibration(_data())
    layers = {f"blocks.{index}": block for index, block in enumerate(model.blocks)}
    groups = execution_order(model, data, layers).groups
    assert [group.names for group in groups] == [("blocks.0",), ("blocks.1",), ("blocks.2",)]


@pytest.mark.parametrize("in_place", [False, True])
def test_no_chain_has_code_between_its_blocks(in_place: bool) -> None:
    model, data = BetweenBlocks(in_place), _data()
    assert find_chain(model, Calibration(data), data[0], [f"blocks.{i}" for i in range(3)]) is None


class Counted(nn.Module):
    """A chain whose blocks also get a tensor that is written into between two of them."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Bilinear(WIDTH, 1, WIDTH) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count = torch.zeros(*x.shape[:-1], 1)
        for block in self.blocks:
            x = block(x, count)
            count += 1
        return x


def test_blocks_that_get_something_else_each_are_no_chain() -> None:
    data = _data()
    names = [f"blocks.{index}" for index in range(3)]
    assert find_chain(Counted(), Calibration(data), data[0], names) is None


def test_inference_tensors_are_taken() -> None:
    """Torch counts no versions of these."""

    class Inferring(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = OutputsOfAPair(in_place=False)

        @torch.inference_mode()
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x + 0.0)

    model = Inferring()
    plain = copy.deepcopy(model.inner)
    found = prune_model_(model, _data(), "2:4")
    expected = prune_model_(plain, _data(), "2:4")
    assert [one.error for one in found.layers] == [one.error for one in expected.layers]
