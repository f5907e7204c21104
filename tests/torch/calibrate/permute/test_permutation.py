"""Reordering free dimensions before pruning."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tnm_core as tnm
from tnm_core.torch import prune_model_, remove_sparsity_
from tnm_core.torch.calibrate import (
    FreeDimension,
    collect_statistics,
    find_free_dimensions,
    permute_,
)
from tnm_core.torch.calibrate.permute import regrouping

HEAD = 8


class Attention(nn.Module):
    """Two heads of attention, then a gated feed-forward network."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(16, 16) for _ in range(4))
        self.gate, self.up, self.down = nn.Linear(16, 32), nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (2, HEAD)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = torch.softmax(q @ k.transpose(-1, -2), -1) @ v
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(nn.functional.silu(self.gate(x)) * self.up(x))


def _model() -> Attention:
    torch.manual_seed(0)
    return Attention().double()


def _data() -> list[Any]:
    return [torch.randn(3, 7, 16, dtype=torch.float64) for _ in range(3)]


DIMENSIONS = [
    FreeDimension(("value",), ("out",), HEAD),
    FreeDimension(("query", "key"), (), HEAD),
    FreeDimension(("gate", "up"), ("down",)),
]


def test_free_dimensions_are_found_by_trying() -> None:
    model = _model()
    assert find_free_dimensions(model, _data(), head_size=HEAD) == DIMENSIONS
    assert find_free_dimensions(model, _data()) == DIMENSIONS[2:]
    for name, value in _model().state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    chain = nn.Sequential(nn.Linear(8, 12), nn.LayerNorm(12), nn.Linear(12, 12), nn.ReLU())
    chain[1].weight.data = torch.rand(12)
    through = FreeDimension(("0",), ("2",), None, ("1",))
    assert find_free_dimensions(chain, [torch.randn(5, 8)]) == [through]
    chain[1] = nn.Softmax(0)
    assert find_free_dimensions(chain, [torch.randn(5, 8)]) == [FreeDimension(("0",), ("2",))]
    chain[1] = Ranks()
    assert find_free_dimensions(chain, [torch.randn(5, 8)]) == []


def test_models_that_run_in_one_way_only() -> None:
    """No float64, and no other number of samples."""

    class Strict(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert x.shape == (5, 8)
            assert self[0].weight.dtype == torch.float32
            return super().forward(x)

    model = Strict(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 12), nn.Softmax(-1))
    expected = [FreeDimension(("0",), ("2",))]
    assert find_free_dimensions(model, [torch.randn(5, 8)]) == expected
    with pytest.raises(AssertionError):
        find_free_dimensions(model, [torch.randn(4, 8)])
    with pytest.raises(ValueError, match="holds no batch"):
        find_free_dimensions(model, [])


class Ranks(nn.Module):
    """Treats units by their place."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.arange(x.shape[-1])


def _retained(model: Any, names: list[str]) -> float:
    """Mean share of the squares that optimal masks keep."""
    shares = []
    for name in names:
        square = model.get_submodule(name).weight.detach().numpy() ** 2
        mask = tnm.transposable_mask(square, 2, 4, score="identity")
        shares.append((square * mask).sum() / square.sum())
    return float(np.mean(shares))


def test_function_stays_and_masks_keep_more() -> None:
    model, dense, data = _model(), _model(), _data()
    done = permute_(model, DIMENSIONS[:2])
    names = ["value", "out", "query", "key"]
    assert done.before == pytest.approx(_retained(dense, names))
    assert done.after == pytest.approx(_retained(model, names))
    assert done.after > done.before + 0.005
    more = permute_(model, DIMENSIONS[2:], statistics=collect_statistics(model, data))
    assert more.after > more.before + 0.01
    for batch in data:
        torch.testing.assert_close(model(batch), dense(batch))
    again = copy.deepcopy(model)
    prune_model_(model, data, "2:4")
    with pytest.raises(ValueError, match="layer 'gate' is masked"):
        more.undo_(model)
    remove_sparsity_(model)
    output = model(data[0])
    for one in (model, again):
        more.undo_(one)
        done.undo_(one)
    torch.testing.assert_close(model(data[0]), output)
    for name, value in dense.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_worth_of_four_is_what_the_solver_says(n: int) -> None:
    scores = torch.rand(24, 20, dtype=torch.float64)
    order = torch.randperm(24).view(6, 4)
    fast = regrouping._worth_of_four(scores, order[:, :3], order[:, 3], n)
    solved = regrouping._worth_by_solver(scores, order[:, :3], order[:, 3], n)
    torch.testing.assert_close(fast, solved, rtol=1e-6, atol=0.0)
    for u, g in itertools.product(range(6), range(6)):
        tile = scores[[*order[g, :3].tolist(), int(order[u, 3])]].numpy()
        mask = tnm.transposable_mask(tile, n, 4, score="identity")
        assert float(fast[u, g]) == pytest.approx((tile * mask).sum(), rel=1e-6)


@pytest.mark.parametrize(("n", "m", "units"), [(2, 4, 18), (2, 8, 32), (2, 4, 4)])
def test_regrouping_never_loses(n: int, m: int, units: int) -> None:
    scores = torch.rand(units, 16, dtype=torch.float64) ** 4
    worth = [regrouping.transposable_score(scores, n, m)]
    for rounds in (1, 2, 8):
        order = regrouping.regroup(scores, n, m, rounds)
        assert sorted(order.tolist()) == list(range(units))
        assert order[units - units % m :].tolist() == list(range(units - units % m, units))
        worth.append(regrouping.transposable_score(scores[order], n, m))
    assert worth == sorted(worth)
    assert units < 2 * m or worth[-1] > worth[0]


@pytest.mark.parametrize(
    ("dimension", "pattern", "told"),
    [
        (FreeDimension(()), "2:4", "outputs is empty"),
        (FreeDimension(("gate",), ("out",)), "2:4", r"sizes are \[16, 32\]"),
        (FreeDimension(("gate",), ("down",), 5), "2:4", "block 5 does not divide 32"),
        (FreeDimension(("gate",), ("down",), 2), "2:4", "expected a multiple of m = 4"),
        (FreeDimension(("",)), "2:4", "is a Attention, expected a dense Linear or Conv2d"),
        (FreeDimension(("gate",), ("down",)), "row 2:4", "expected a transposable one"),
    ],
)
def test_bad_dimensions(dimension: FreeDimension, pattern: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        permute_(_model(), [dimension], pattern)
