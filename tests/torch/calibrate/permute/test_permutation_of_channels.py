"""Reordering the channels of convolutions before pruning."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tnm_core as tnm
from tnm_core.torch import prune_model_
from tnm_core.torch.calibrate import (
    FreeDimension,
    collect_statistics,
    find_free_dimensions,
    permute_,
)


def _warmed(model: nn.Module, seed: int = 0) -> nn.Module:
    """In double, with parameters and running statistics that differ from channel to channel."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double().eval()
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point() and tensor.ndim == 1:
            tensor.data = 0.5 + torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
    return model


class Net(nn.Module):
    """Batch norm, PReLU, a residual stream, depthwise and grouped convolutions, a flattened end."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.first, self.norm1 = nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.second, self.norm2 = nn.Conv2d(32, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.expand, self.norm3 = nn.Conv2d(16, 24, 1), nn.BatchNorm2d(24)
        self.depthwise, self.norm4 = nn.Conv2d(24, 24, 3, padding=1, groups=24), nn.PReLU(24)
        self.project = nn.Conv2d(24, 32, 1)
        self.grouped = nn.Conv2d(32, 48, (1, 3), groups=2)
        self.norm5 = nn.GroupNorm(3, 48)
        self.last = nn.Conv2d(48, 12, 1)
        self.wide, self.tail = nn.Linear(12 * 3, 20), nn.Linear(20, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.norm2(self.second(self.norm1(self.first(x)).relu()))
        x = self.norm4(self.depthwise(self.norm3(self.expand(x)).relu()))
        x = self.norm5(self.grouped(self.project(x).sigmoid())).tanh()
        x = nn.functional.adaptive_avg_pool2d(self.last(x).relu(), (1, 3))
        return self.tail(self.wide(x.flatten(1)).relu())


EXPECTED = [
    FreeDimension(("first",), ("second",), None, ("norm1",)),
    FreeDimension(("expand",), ("project",), None, ("norm3", "depthwise", "norm4")),
    FreeDimension(("project",), ("grouped",), 16),
    FreeDimension(("grouped",), ("last",), 8, ("norm5",)),
    FreeDimension(("last",), ("wide",)),
    FreeDimension(("wide",), ("tail",)),
]


def _images() -> list[Any]:
    return [torch.randn(2, 3, 6, 6, dtype=torch.float64) for _ in range(2)]


def _squares(model: Any, name: str, images: list[Any] | None = None) -> np.ndarray:
    """w², or w² times the mean square of what each weight meets, by loops over positions."""
    layer = model.get_submodule(name)
    square = layer.weight.detach().numpy() ** 2
    if images is None:
        return square
    met: list[Any] = []
    handle = layer.register_forward_pre_hook(lambda _, args: met.append(args[0].detach()))
    for batch in images:
        model(batch)
    handle.remove()
    x = torch.cat(met)
    if isinstance(layer, nn.Linear):
        return square * (x**2).mean(0).numpy()
    padded = nn.functional.pad(x, layer._reversed_padding_repeated_twice).numpy()
    height = padded.shape[2] - square.shape[2] + 1
    width = padded.shape[3] - square.shape[3] + 1
    rows, columns = square.shape[0] // layer.groups, square.shape[1]
    for k in range(square.shape[0]):
        channels = slice(k // rows * columns, (k // rows + 1) * columns)
        for r, s in np.ndindex(square.shape[2:]):
            seen = padded[:, channels, r : r + height, s : s + width]
            square[k, :, r, s] *= (seen**2).mean((0, 2, 3))
    return square


def _shares(scores: np.ndarray, groups: int) -> float:
    """Share that optimal masks keep: a matrix a group of rows and kernel position."""
    kept = 0.0
    for rows in np.split(scores, groups):
        for position in np.ndindex(scores.shape[2:]):
            matrix = np.ascontiguousarray(rows[(..., *position)])
            kept += matrix[tnm.transposable_mask(matrix, 2, 4, score="identity")].sum()
    return float(kept / scores.sum())


def _retained(model: Any, dimensions: list[FreeDimension], images: Any = None) -> float:
    shares = []
    for dimension in dimensions:
        for name in (*dimension.outputs, *dimension.inputs):
            groups = getattr(model.get_submodule(name), "groups", 1)
            shares.append(_shares(_squares(model, name, images), groups))
    return float(np.mean(shares))


def test_free_channels_are_found_by_trying() -> None:
    model = _warmed(Net())
    before = copy.deepcopy(model.state_dict())
    assert find_free_dimensions(model, _images()) == EXPECTED
    for name, value in before.items():
        assert torch.equal(model.state_dict()[name], value)


@pytest.mark.parametrize("with_statistics", [False, True])
def test_function_stays_and_masks_keep_more(with_statistics: bool) -> None:
    model, dense, images = _warmed(Net()), _warmed(Net()), _images()
    for dimension in EXPECTED:
        before = copy.deepcopy(model)
        statistics = collect_statistics(model, images) if with_statistics else None
        seen = images if with_statistics else None
        done = permute_(model, [dimension], statistics=statistics, batches=images)
        assert done.before == pytest.approx(_retained(before, [dimension], seen))
        assert done.after == pytest.approx(_retained(model, [dimension], seen))
        assert done.after > done.before
        for batch in images:
            torch.testing.assert_close(model(batch), dense(batch))
        again = copy.deepcopy(model)
        done.undo_(again)
        for name, value in before.state_dict().items():
            assert torch.equal(again.state_dict()[name], value)


def test_prune_model_keeps_more_of_permuted_layers() -> None:
    dense, images = _warmed(Net()), _images()
    permuted = copy.deepcopy(dense)
    permute_(permuted, EXPECTED)
    kept = []
    for model in (dense, permuted):
        report = prune_model_(model, images, "2:4", "magnitude", exclude="tail")
        by_name = {layer.name: layer.retained for layer in report.pruned}
        kept.append(sum(by_name[name] for name in ("first", "second", "expand", "grouped", "last")))
    assert kept[1] > kept[0]


@pytest.mark.parametrize("size", [2, 4])
def test_a_flattened_layer_never_pays_for_the_others(size: int) -> None:
    """Two channels share a tile (runs of 2), where the old order is perfect; or none (of 4)."""
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 16, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d((1, size)), nn.Flatten(), nn.Linear(16 * size, 64),
    ).double()  # fmt: skip
    alternating = (torch.arange(64)[:, None] + torch.arange(16 * size) // size) % 2
    model[6].weight.data *= alternating
    dense, images = copy.deepcopy(model), _images()
    free = find_free_dimensions(model, images)
    assert free == [FreeDimension(("0",), ("2",)), FreeDimension(("2",), ("6",))]
    done = permute_(model, free[1:])
    assert done.before == pytest.approx(_retained(dense, free[1:]))
    assert done.after == pytest.approx(_retained(model, free[1:]))
    before, after = (_shares(_squares(one, "6"), 1) for one in (dense, model))
    assert after == pytest.approx(before)
    if size == 2:
        assert torch.equal(done.orders[free[1]], torch.arange(16))
        assert after == pytest.approx(1.0)
    else:
        assert done.after > done.before
    torch.testing.assert_close(model(images[0]), dense(images[0]))


def test_what_the_first_output_does_not_show_is_not_found() -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main = nn.Linear(8, 8)
            self.first, self.norm, self.second = nn.Linear(8, 16), nn.Softmax(-1), nn.Linear(16, 8)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.main(x), self.second(self.norm(self.first(x)).cumsum(-1))

    model, data = TwoHeads(), [torch.randn(5, 8)]
    assert find_free_dimensions(model, data) == []
    with pytest.raises(ValueError, match="cannot be verified"):
        permute_(model, [FreeDimension(("first",), ("second",))], batches=data)
    swapped = find_free_dimensions(model, data, forward=lambda m, x: m(x)[1])
    assert swapped == []


def test_unsound_dimensions_are_refused_by_trying() -> None:
    model, images = _warmed(Net()), _images()
    before = copy.deepcopy(model.state_dict())
    for dimension in (
        FreeDimension(("first",), ("second",)),  # the batch norm stays behind
        FreeDimension(("stem",), ("first",)),  # the residual stream goes on
        FreeDimension(("project",), ("grouped",), 32 // 2, ("norm5",)),
    ):
        with pytest.raises(ValueError, match=r"is not free|has 48 channels|has 3 groups"):
            permute_(model, [EXPECTED[0], dimension], batches=images)
    for name, value in before.items():
        assert torch.equal(model.state_dict()[name], value)
    stream = FreeDimension(("stem", "second"), ("first", "expand"), None, ("norm2",))
    dense = copy.deepcopy(model)
    done = permute_(model, [stream], batches=images)
    assert done.after > done.before
    torch.testing.assert_close(model(images[0]), dense(images[0]))


@pytest.mark.parametrize(
    ("dimension", "told"),
    [
        (FreeDimension(("project",), ("grouped",)), r"has 2 groups of 16 .* block is None"),
        (FreeDimension(("project",), ("grouped",), 32), "a block that divides 16"),
        (FreeDimension(("grouped",), ("last",), 24, ("norm5",)), "'norm5' has 3 groups of 16"),
        (FreeDimension(("expand",), ("depthwise",)), "'depthwise' is depthwise, .* through="),
        (FreeDimension(("expand",), ("project",), None, ("stem",)), "'stem' is a Conv2d, exp"),
        (FreeDimension(("expand",), ("project",), None, ("norm1",)), "'norm1' has 32 channels"),
        (FreeDimension(("first",), ("project",)), r"sizes are \[24, 32\]"),
        (FreeDimension(("wide",), ("last",)), r"sizes are \[20, 48\]"),
        (FreeDimension(("last",), ("tail",)), r"sizes are \[12, 20\]"),
        (FreeDimension(("last",), ("nothing",)), "'nothing' is not in the model"),
    ],
)  # fmt: skip
def test_bad_dimensions(dimension: FreeDimension, told: str) -> None:
    model = Net()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=told):
        permute_(model, [EXPECTED[0], dimension])
    for name, value in before.items():
        assert torch.equal(model.state_dict()[name], value)
