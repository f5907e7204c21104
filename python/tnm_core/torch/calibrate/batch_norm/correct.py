"""Correcting the statistics of batch normalisation by what pruning moved, if that helps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tnm_core.short_repr import short_repr
from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.calibrate.batch_norm.layers_before import tensors_of
from tnm_core.torch.calibrate.batch_norm.norm_moments import (
    ChannelMoments,
    SavedStatistics,
    own_statistics,
    saved_statistics,
    tracked_norms,
)
from tnm_core.torch.calibrate.data import Calibration, evaluating
from tnm_core.torch.layers import unwrap

# Every so many batches one does not count for the statistics: it tells whether they help.
_HELD_OUT = 4


@dataclass(frozen=True)
class BatchNormCorrection:
    """What `correct_batch_norm_` did; printing it gives a list.

    Attributes
    ----------
    kept : bool
        Whether the model has the corrected statistics. If not, it is as it was.
    error_before, error : float
        Squared difference of the model's outputs from the dense model's, over the variance of
        those, with the statistics as they were and with the corrected ones; on the batches that
        were held out.
    norms : dict of str to int
        Normalisations that count, and of how many values per channel.
    skips : dict of str to Skip
        Normalisations that were left alone, with the code of the reason and its values.
    """

    kept: bool
    error_before: float
    error: float
    norms: dict[str, int]
    skips: dict[str, Skip]

    __repr__ = short_repr

    @property
    def summary(self) -> str:
        """A line."""
        if not self.norms:
            return f"batch normalisation: none corrected, {len(self.skips)} left as they were"
        errors = f"{self.error_before:.4f} to {self.error:.4f}"
        if self.kept:
            return f"batch normalisation: {len(self.norms)} corrected, error of outputs {errors}"
        return (
            f"batch normalisation: {len(self.norms)} left as they were, since correcting them "
            f"moves the error of outputs from {errors}"
        )

    def __str__(self) -> str:
        lines = [self.summary]
        lines.extend(f"  {name}: {count} values per channel" for name, count in self.norms.items())
        lines.extend(f"  {name}: left: {skip}" for name, skip in self.skips.items())
        return "\n".join(lines)


# What is made under inference mode could never be trained.
@torch.inference_mode(False)
@torch.no_grad()
def correct_batch_norm_(
    model: nn.Module,
    dense: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Callable[[nn.Module, Any], Any] | None = None,
) -> BatchNormCorrection:
    """Move running means and variances as pruning moved what the normalisations get, in place.

    Statistics of a few hundred samples are not those of the data of training, and a network whose
    running statistics are replaced by them gets worse, a dense one as well. How they *differ*
    between the pruned and the dense model on the same samples is known far better, and that is
    applied to what training left. The result is kept only if it brings the outputs of the model
    closer to the dense model's on batches that the statistics do not come from.

    `prune_model_` does this at the end, unless its recipe says otherwise.

    Parameters
    ----------
    model : torch.nn.Module
        Pruned. Its ``BatchNorm1d``, ``BatchNorm2d`` and ``BatchNorm3d`` are changed.
    dense : torch.nn.Module
        The same model before pruning; it is not changed.
    batches : iterable of batches
        A list of batches or a DataLoader, read twice, as for `prune_model_`. Of four batches, the
        last is held out; of fewer, the last; a single one counts for both.
    forward : function of model and batch, optional
        Runs a model on a batch, as for `prune_model_`.

    Returns
    -------
    BatchNormCorrection
        Whether it was kept, the errors of outputs before and after, and which normalisations.

    Raises
    ------
    TypeError
        If an argument has a wrong type.
    ValueError
        If there is no batch, one holds a single value per channel, a normalisation gets NaN or
        infinite values (the message names it), or one is a ``SyncBatchNorm`` that runs on the CPU
        or in several processes. The model is unchanged then.

    Notes
    -----
    Let a channel have mean and variance (d, s) in the dense model and (p, t) in the pruned one,
    over all values of the batches, each of which is normalised by its own statistics meanwhile in
    both. The line that takes the one to the other, x to p + a (x - d) with a = sqrt(t / s), takes
    a running mean m to p + a (m - d), and a running variance v to a² v. Where the batches have the
    statistics of training, that is what `reestimate_batch_norm_` finds; where nothing was pruned,
    nothing changes.

    Examples
    --------
    >>> import copy, torch
    >>> from tnm_core.torch.calibrate import correct_batch_norm_
    >>> dense = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4)).eval()
    >>> pruned = copy.deepcopy(dense)
    >>> _ = pruned[0].weight.data.mul_(0.5)
    >>> batches = [torch.randn(16, 8) for _ in range(4)]
    >>> correct_batch_norm_(pruned, dense, batches).kept
    True
    """
    for name, one in (("model", model), ("dense", dense)):
        if not isinstance(one, nn.Module):
            raise TypeError(f"{name} is a {type(one).__name__}, expected a torch.nn.Module")
    calibration, model, dense = Calibration(batches, forward), unwrap(model), unwrap(dense)
    tracked, skips = tracked_norms(model)
    of_dense = {name: one for name, one in tracked_norms(dense)[0].items() if name in tracked}
    if not of_dense:
        return BatchNormCorrection(False, 0.0, 0.0, {}, skips)
    with evaluating(model), evaluating(dense), saved_statistics(tracked.values()) as saved:
        before, after = _moments_of_both(model, dense, calibration, tracked, of_dense)
        for name in tracked:
            if name not in before:
                skips[name] = SkipCode.NORM_UNREACHED()
        corrected = {name: _corrected(tracked[name], before[name], after[name]) for name in before}
        errors = _errors(model, dense, calibration, tracked, corrected, saved)
        kept = errors[1] < errors[0]
        _write_(tracked, corrected if kept else {}, saved)
    counts = {name: one.count for name, one in after.items()}
    return BatchNormCorrection(kept, *errors, counts, skips)


def _moments_of_both(
    model: nn.Module,
    dense: nn.Module,
    calibration: Calibration,
    norms: Mapping[str, _BatchNorm],
    of_dense: Mapping[str, _BatchNorm],
) -> tuple[dict[str, ChannelMoments], dict[str, ChannelMoments]]:
    """Run both models on the batches that count; what their normalisations get."""
    with (
        saved_statistics(of_dense.values()) as saved,
        own_statistics(of_dense) as before,
        own_statistics(norms) as after,
    ):
        kept_back, count = None, 0
        for index, batch in enumerate(calibration.batches):
            count = index + 1
            if index % _HELD_OUT == _HELD_OUT - 1:
                continue
            # The last of few is held out, and it is not known yet which one that is.
            if kept_back is not None:
                _run_both(calibration, dense, model, kept_back)
            kept_back = batch
        if not count:
            raise ValueError("batches is empty, expected one batch at least")
        if kept_back is not None and (count == 1 or count >= _HELD_OUT):
            _run_both(calibration, dense, model, kept_back)
        saved.restore_all()
    reached = [name for name in of_dense if before[name].count > 1 and after[name].count > 1]
    return {name: before[name] for name in reached}, {name: after[name] for name in reached}


def _run_both(calibration: Calibration, dense: nn.Module, model: nn.Module, batch: Any) -> None:
    calibration.forward(dense, batch)
    calibration.forward(model, batch)


def _corrected(
    norm: _BatchNorm, dense: ChannelMoments, pruned: ChannelMoments
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and variance, in float64."""
    mean, variance = (
        cast(torch.Tensor, one).double() for one in (norm.running_mean, norm.running_var)
    )
    # A channel that hardly varies keeps its scale.
    ratio = (pruned.variance + norm.eps) / (dense.variance + norm.eps)
    return pruned.mean + ratio.sqrt() * (mean - dense.mean), variance * ratio


def _errors(
    model: nn.Module,
    dense: nn.Module,
    calibration: Calibration,
    norms: Mapping[str, _BatchNorm],
    corrected: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
    saved: SavedStatistics,
) -> tuple[float, float]:
    """Compare outputs with the dense model's on the batches that were held out."""
    squares, scale = [0.0, 0.0], 0.0
    for batch in _last_of(calibration.batches):
        wanted = _outputs(calibration, dense, batch)
        scale += sum(float((one - one.mean()).square().sum()) for one in wanted)
        for number, statistics in enumerate(({}, corrected)):
            _write_(norms, statistics, saved)
            found = _outputs(calibration, model, batch)
            pairs = zip(found, wanted, strict=True)
            squares[number] += sum(float((one - other).square().sum()) for one, other in pairs)
    before, after = (one / scale if scale else one for one in squares)
    return before, after if math.isfinite(after) else math.inf


def _last_of(batches: Iterable[Any]) -> Iterable[Any]:
    """Yield the batches that are held out."""
    latest, count = None, 0
    for index, batch in enumerate(batches):
        latest, count = batch, index + 1
        if index % _HELD_OUT == _HELD_OUT - 1:
            yield batch
    if count < _HELD_OUT:
        yield latest


def _outputs(calibration: Calibration, model: nn.Module, batch: Any) -> list[torch.Tensor]:
    """Return the floating-point tensors that a model returns, in float64."""
    returned = calibration.forward(model, batch)
    return [one.double() for one in tensors_of(returned) if one.is_floating_point()]


def _write_(
    norms: Mapping[str, _BatchNorm],
    statistics: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
    saved: SavedStatistics,
) -> None:
    """Set statistics, and those that were there where there are none."""
    for name, norm in norms.items():
        saved.restore(norm)
        if name in statistics:
            mean, variance = statistics[name]
            cast(torch.Tensor, norm.running_mean).copy_(mean)
            cast(torch.Tensor, norm.running_var).copy_(variance)
