"""Re-estimated statistics are those of all values, whatever the batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn

from tnm_core.torch.calibrate import reestimate_batch_norm_
from tnm_core.torch.calibrate.batch_norm import norm_moments

SHAPES: dict[type[nn.Module], tuple[int, ...]] = {
    nn.BatchNorm1d: (), nn.BatchNorm2d: (3, 2), nn.BatchNorm3d: (2, 3, 2),
}  # fmt: skip


def _of_all_values(batches: list[torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and unbiased variance of each channel, value by value."""
    by_channel: list[list[float]] = [[] for _ in range(batches[0].shape[1])]
    for batch in batches:
        for sample in batch.double().numpy():
            for values, channel in zip(by_channel, sample, strict=True):
                values.extend(np.ravel(channel))
    means = [sum(values) / len(values) for values in by_channel]
    variances = [
        sum((value - mean) ** 2 for value in values) / (len(values) - 1)
        for values, mean in zip(by_channel, means, strict=True)
    ]
    return np.array(means), np.array(variances)


def _state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: one.clone() for name, one in model.state_dict().items()}


def _assert_unchanged(model: nn.Module, before: dict[str, torch.Tensor]) -> None:
    for name, one in model.state_dict().items():
        assert torch.equal(one, before[name]), name


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("entries", [5, 1 << 20])
def test_uneven_batches_count_by_their_sizes(
    kind: type[nn.Module], entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(norm_moments, "_ENTRIES", entries)
    torch.manual_seed(0)
    shape = (4, *SHAPES[kind])
    batches = [3 + i * torch.randn(size, *shape) for i, size in enumerate((2, 7, 3), 1)]
    model = nn.Sequential(kind(4, momentum=0.3)).train()  # type: ignore[call-arg]
    report = reestimate_batch_norm_(model, batches)
    mean, variance = _of_all_values(batches)
    np.testing.assert_allclose(model[0].running_mean, mean, rtol=1e-6)
    np.testing.assert_allclose(model[0].running_var, variance, rtol=1e-6)
    assert report.norms == {"0": 12 * int(np.prod(SHAPES[kind]))}
    assert (model[0].momentum, model[0].training) == (0.3, True)
    assert int(model[0].num_batches_tracked) == 3


def test_large_means_do_not_cancel() -> None:
    torch.manual_seed(0)
    batches = [10_000 + torch.randn(50, 3) for _ in range(4)]
    model = nn.Sequential(nn.BatchNorm1d(3))
    reestimate_batch_norm_(model, batches)
    np.testing.assert_allclose(model[0].running_var, _of_all_values(batches)[1], rtol=1e-6)


def test_what_lies_behind_gets_batches_normalised_on_their_own() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 5), nn.BatchNorm1d(5), nn.BatchNorm1d(5)
    )
    batches = [2 + torch.randn(6, 4), 5 * torch.randn(9, 4)]
    with torch.no_grad():
        own = [(b - b.mean(0)) / (b.var(0, correction=0) + 1e-5).sqrt() for b in batches]
        behind = [model[2](one) for one in own]
    modes = [module.training for module in model.modules()]
    reestimate_batch_norm_(model, batches)
    mean, variance = _of_all_values(behind)
    np.testing.assert_allclose(model[3].running_mean, mean, atol=1e-6)
    np.testing.assert_allclose(model[3].running_var, variance, rtol=1e-5)
    assert [module.training for module in model.modules()] == modes


def test_one_that_is_called_twice_and_other_inputs() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)
            self.unused = nn.BatchNorm1d(3)
            self.plain = nn.BatchNorm1d(3, track_running_stats=False)
            self.lazy = nn.LazyBatchNorm1d()

        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return self.norm(first) + self.plain(self.norm(second))

    torch.manual_seed(0)
    model, one, other = Twice(), torch.randn(5, 3), 2 * torch.randn(5, 3)
    report = reestimate_batch_norm_(model, [{"first": one, "second": other}])
    np.testing.assert_allclose(model.norm.running_var, _of_all_values([one, other])[1], rtol=1e-6)
    assert report.skipped == {
        "unused": "no batch reaches it",
        "plain": "keeps no running statistics: every batch is normalised by its own",
        "lazy": "its weight has no shape yet; run the model once first",
    }
    assert "1 re-estimated, 3 left" in str(report)
    assert "norm: 10 values" in str(report)
    assert torch.equal(model.unused.running_var, torch.ones(3))


def _broken() -> Iterator[torch.Tensor]:
    yield torch.ones(4, 3)
    raise RuntimeError("the disk is gone")


class _Broken:
    __iter__ = staticmethod(_broken)


@pytest.mark.parametrize(
    ("batches", "error", "words"),
    [
        ([], ValueError, "batches is empty"),
        ([torch.ones(4, 3), torch.full((4, 3), float("nan"))], ValueError, "'0' gets NaN"),
        ([torch.ones(1, 3)], ValueError, "more than 1 value per channel"),
        (_Broken(), RuntimeError, "the disk is gone"),
        (3, TypeError, "expected a list of batches"),
    ],
)
def test_refused_and_left_as_it_was(batches: object, error: type[Exception], words: str) -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3)).eval()
    model[0](torch.randn(3, 3))
    before = _state(model)
    with pytest.raises(error, match=words):
        reestimate_batch_norm_(model, batches)  # type: ignore[arg-type]
    _assert_unchanged(model, before)
    assert [norm.momentum for norm in model] == [0.1, 0.1]
    assert not any(module.training for module in model.modules())
    assert not any(norm._forward_pre_hooks for norm in model)


@pytest.mark.parametrize(
    ("processes", "words"), [(1, "SyncBatchNorm on the CPU"), (2, "SyncBatchNorm")]
)
def test_synchronised_ones_are_refused(
    processes: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: processes)
    model = nn.Sequential(nn.SyncBatchNorm(3, device="cpu" if processes == 1 else "meta"))
    with pytest.raises(ValueError, match=words):
        reestimate_batch_norm_(model, [torch.ones(4, 3)])


def test_no_normalisation_and_no_model() -> None:
    find: Callable[..., object] = reestimate_batch_norm_
    assert "0 re-estimated" in str(find(nn.Linear(2, 2), [torch.ones(2, 2)]))
    with pytest.raises(TypeError, match=r"expected a torch\.nn\.Module"):
        find([nn.BatchNorm1d(2)], [torch.ones(2, 2)])
