"""Reordering within heads of grouped-query attention, where queries share keys and values."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import tnm_core as tnm
from tnm_core.torch.calibrate import FreeDimension, find_free_dimensions, permute_

HEAD, QUERIES, KEYS = 8, 6, 2
DIMENSIONS = [
    FreeDimension(("value",), ("out",), HEAD),
    FreeDimension(("query", "key"), (), HEAD),
]


class GroupedAttention(nn.Module):
    """Three query heads for each head of keys and values; heads that share one lie together."""

    def __init__(self, interleaved: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.query, self.key = nn.Linear(16, QUERIES * HEAD), nn.Linear(16, KEYS * HEAD)
        self.value, self.out = nn.Linear(16, KEYS * HEAD), nn.Linear(QUERIES * HEAD, 16)
        self.interleaved = interleaved

    def _shared(self, x: torch.Tensor) -> torch.Tensor:
        heads = x.unflatten(-1, (KEYS, HEAD)).transpose(1, 2)
        copies = QUERIES // KEYS
        if self.interleaved:
            return heads.repeat(1, copies, 1, 1)
        return heads.repeat_interleave(copies, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q = self.query(x).unflatten(-1, (QUERIES, HEAD)).transpose(1, 2)
        k, v = self._shared(self.key(x)), self._shared(self.value(x))
        mixed = torch.softmax(q @ k.transpose(-1, -2), -1) @ v
        return self.out(mixed.transpose(1, 2).flatten(2))


def _data() -> list[torch.Tensor]:
    return [torch.randn(3, 7, 16, generator=torch.Generator().manual_seed(1))]


def _kept(model: nn.Module, names: tuple[str, ...]) -> float:
    shares = []
    for name in names:
        square = model.get_submodule(name).weight.detach().double().numpy() ** 2
        mask = tnm.transposable_mask(square, 2, 4, score="identity")
        shares.append(float((square * mask).sum() / square.sum()))
    return sum(shares) / len(shares)


def test_shared_heads_are_found_and_reordered_together() -> None:
    model, data = GroupedAttention(), _data()
    assert find_free_dimensions(model, data, head_size=HEAD) == DIMENSIONS
    dense = copy.deepcopy(model)
    done = permute_(model, DIMENSIONS, "2:4", batches=data)
    torch.testing.assert_close(model(data[0]), dense(data[0]))
    names = ("value", "out", "query", "key")
    assert done.before == pytest.approx(_kept(dense, names))
    assert done.after == pytest.approx(_kept(model, names))
    assert done.after > done.before + 0.005
    for dimension, order in done.orders.items():
        assert len(order) == KEYS * HEAD
        assert sorted(order.view(KEYS, HEAD)[1].tolist()) == list(range(HEAD, 2 * HEAD))
        for name in dimension.outputs:
            before, after = (one.get_submodule(name).weight for one in (dense, model))
            copies = len(before) // len(order)
            for head in range(len(before) // HEAD):  # one by one, as it is written down
                for place in range(HEAD):
                    source = int(order[head // copies * HEAD + place]) % HEAD
                    assert torch.equal(after[head * HEAD + place], before[head * HEAD + source])
    done.undo_(model)
    for name, value in dense.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_heads_that_are_shared_in_another_way_are_left_alone() -> None:
    """Within keys and values all is as before; the queries of a head do not lie together."""
    model = GroupedAttention(interleaved=True)
    assert find_free_dimensions(model, _data(), head_size=HEAD) == []
    with pytest.raises(ValueError, match="is not free"):
        permute_(model, DIMENSIONS[:1], "2:4", batches=_data())


def test_sizes_that_are_no_multiples_are_refused() -> None:
    model = GroupedAttention()
    model.out = nn.Linear(QUERIES * HEAD + HEAD, 16)
    with pytest.raises(ValueError, match=r"sizes are \[16, 56\], expected the same"):
        permute_(model, DIMENSIONS[:1], "2:4")
    with pytest.raises(ValueError, match=r"sizes are \[16, 48\], expected the same"):
        permute_(GroupedAttention(), [FreeDimension(("value",), ("out",))], "2:4")
