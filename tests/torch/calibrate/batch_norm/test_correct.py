"""Statistics move as pruning moved the inputs of normalisations, where that helps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

from tnm_core.torch import prune_model_
from tnm_core.torch.calibrate import (
    RECIPES,
    PruneReport,
    correct_batch_norm_,
    reestimate_batch_norm_,
)
from tnm_core.torch.calibrate.batch_norm import BatchNormCorrection

BATCHES = 6


def _network(seed: int = 0) -> nn.Sequential:
    """Two normalised convolutions whose statistics are those of much data."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(8, 16, 1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 8),
    ).eval()  # fmt: skip
    reestimate_batch_norm_(model, _data(64, 1.0))
    return model


def _data(count: int, scale: float, seed: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(6, 8, 3, 3, generator=generator).abs() for _ in range(count)]


def _statistics(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: one.clone() for name, one in model.named_buffers()}


def _scaled(model: nn.Sequential) -> nn.Sequential:
    """Make a copy whose first convolution gives half of what it gave, and one more."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        other[0].weight.mul_(0.5)
        other[0].bias.mul_(0.5).add_(1.0)
    return other


def test_a_dense_network_does_not_change_whatever_the_data() -> None:
    model = _network()
    before = _statistics(model)
    report = correct_batch_norm_(model, copy.deepcopy(model), _data(BATCHES, 5.0))
    assert not report.kept
    assert (report.error_before, report.error) == pytest.approx((0.0, 0.0), abs=1e-6)
    for name, one in model.named_buffers():
        torch.testing.assert_close(one, before[name])
    reestimate_batch_norm_(model, _data(BATCHES, 5.0))  # which does change it
    assert (model[1].running_var / before["1.running_var"]).min() > 10


def test_scale_and_shift_are_found_on_data_of_another_kind() -> None:
    """The data are not those of training; the dense network's answers come back all the same."""
    dense = _network()
    pruned = _scaled(dense)
    report = correct_batch_norm_(pruned, dense, _data(BATCHES, 3.0))
    assert report.kept
    assert report.error < 1e-6 < report.error_before
    assert report.norms == {"1": 5 * 6 * 9, "4": 5 * 6 * 9}  # the fourth batch only tells
    torch.testing.assert_close(
        pruned[1].running_mean, 0.5 * dense[1].running_mean + 1.0, rtol=1e-3, atol=1e-4
    )
    torch.testing.assert_close(
        pruned[1].running_var, 0.25 * dense[1].running_var, rtol=1e-3, atol=1e-4
    )
    images = _data(1, 1.0, seed=7)[0]
    torch.testing.assert_close(pruned(images), dense(images), rtol=1e-3, atol=1e-3)
    assert not any(module.training for one in (pruned, dense) for module in one.modules())
    assert pruned[1].momentum == dense[1].momentum == 0.1
    assert not any(module._forward_pre_hooks for module in (*pruned, *dense))


@pytest.mark.parametrize(
    ("count", "told"), [(1, [0]), (2, [0]), (3, [0, 1]), (4, [0, 1, 2]), (5, [0, 1, 2, 4])]
)
def test_which_batches_count(count: int, told: list[int]) -> None:
    """Naively: mean and variance of each channel over the batches that are not held out."""
    dense = _network()
    pruned = _scaled(dense)
    batches = _data(count, 2.0)
    correct_batch_norm_(pruned, dense, batches)
    seen = torch.cat([batches[index] for index in told])
    given = {
        name: model[0](seen).double().movedim(1, 0).flatten(1)
        for name, model in (("dense", dense), ("pruned", _scaled(dense)))
    }
    ratio = given["pruned"].std(1) / given["dense"].std(1)
    moved = dense[1].running_mean.double() - given["dense"].mean(1)
    mean = given["pruned"].mean(1) + ratio * moved
    torch.testing.assert_close(pruned[1].running_mean.double(), mean, rtol=1e-3, atol=1e-3)


def test_what_does_not_help_is_put_back() -> None:
    """A network whose scales were fitted to the statistics as they were, as by tuning."""
    dense = _network()
    pruned = _scaled(dense)
    with torch.no_grad():
        deviation = (dense[1].running_var + dense[1].eps).sqrt()
        pruned[1].weight.mul_(2.0)
        pruned[1].bias.add_((dense[1].running_mean - 2.0) / deviation)
    before = _statistics(pruned)
    report = correct_batch_norm_(pruned, dense, _data(BATCHES, 1.0))
    assert not report.kept
    assert report.error_before < 1e-6 < 0.01 < report.error
    assert "left as they were, since correcting them" in str(report)
    for name, one in pruned.named_buffers():
        assert torch.equal(one, before[name])


@pytest.mark.parametrize("recipe", ["least_squares", "best"])
def test_pruning_ends_with_it(recipe: str) -> None:
    dense, data = _network(), _data(BATCHES, 2.0)
    by_hand, alone = copy.deepcopy(dense), replace(RECIPES[recipe], batch_norm=False)
    bare = prune_model_(by_hand, data, "2:4", alone)
    expected = correct_batch_norm_(by_hand, dense, data)
    model = copy.deepcopy(dense)
    report = prune_model_(model, data, "2:4", recipe)
    assert bare.batch_norm is None
    assert report.batch_norm == expected
    assert expected.summary in str(report)
    for name, one in by_hand.named_buffers():
        torch.testing.assert_close(one, model.get_buffer(name), rtol=0, atol=0)


@torch.no_grad()
def test_it_helps_a_network_pruned_without_repair() -> None:
    """Statistics anew, of data that are not those of training, make it worse than it was."""
    dense, data = _network(), _data(12, 1.5)
    for layer in (dense[0], dense[3]):
        layer.weight.abs_()  # so that pruning takes half of the means away
    reestimate_batch_norm_(dense, _data(64, 1.0))
    images = _data(8, 1.0, seed=9)
    recipe = replace(RECIPES["wanda"], batch_norm=True)
    bare, corrected, anew = (copy.deepcopy(dense) for _ in range(3))
    report = prune_model_(corrected, data, "2:4", recipe)
    for model in (bare, anew):
        prune_model_(model, data, "2:4", "wanda")
    reestimate_batch_norm_(anew, data)
    errors = [
        sum(float((model(one) - dense(one)).square().sum()) for one in images)
        for model in (corrected, bare, anew)
    ]
    assert report.batch_norm is not None
    assert report.batch_norm.kept
    assert errors == sorted(errors)
    assert 1.3 * errors[0] < errors[1]


def _broken() -> Iterator[torch.Tensor]:
    yield torch.ones(4, 8, 3, 3)
    raise RuntimeError("the disk is gone")


class _Broken:
    __iter__ = staticmethod(_broken)


@pytest.mark.parametrize(
    ("batches", "error", "words"),
    [
        ([], ValueError, "batches is empty"),
        ([torch.full((4, 8, 3, 3), float("nan"))], ValueError, "'1' gets NaN"),
        (_Broken(), RuntimeError, "the disk is gone"),
        (3, TypeError, "expected a list of batches"),
    ],
)
def test_refused_and_left_as_it_was(batches: object, error: type[Exception], words: str) -> None:
    dense = _network()
    pruned = _scaled(dense)
    before = _statistics(pruned), _statistics(dense)
    with pytest.raises(error, match=words):
        correct_batch_norm_(pruned, dense, batches)  # type: ignore[arg-type]
    for model, kept in zip((pruned, dense), before, strict=True):
        for name, one in model.named_buffers():
            assert torch.equal(one, kept[name])
        assert not any(module.training for module in model.modules())
        assert model[1].momentum == 0.1


def test_no_normalisation_and_no_model() -> None:
    find: Callable[..., BatchNormCorrection] = correct_batch_norm_
    plain = nn.Linear(2, 2)
    assert "none corrected" in str(find(plain, copy.deepcopy(plain), [torch.ones(2, 2)]))
    with pytest.raises(TypeError, match=r"dense is a list, expected a torch\.nn\.Module"):
        find(plain, [], [torch.ones(2, 2)])
    report: PruneReport = prune_model_(nn.Linear(8, 8), [torch.randn(9, 8)], "2:4")
    assert report.batch_norm is None
