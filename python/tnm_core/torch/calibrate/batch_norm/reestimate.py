"""Re-estimating the statistics of batch normalisation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tnm_core.short_repr import short_repr
from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.calibrate.batch_norm.norm_moments import (
    pooled_moments,
    saved_statistics,
    tracked_norms,
)
from tnm_core.torch.calibrate.data import Calibration, evaluating
from tnm_core.torch.layers import unwrap


@dataclass(frozen=True)
class BatchNormReport:
    """What `reestimate_batch_norm_` did; printing it gives a list.

    Attributes
    ----------
    norms : dict of str to int
        Normalisations with new statistics, and of how many values per channel these are averages.
    skips : dict of str to Skip
        Normalisations that are as they were, with the code of the reason and its values.
    """

    norms: dict[str, int]
    skips: dict[str, Skip]

    __repr__ = short_repr

    @property
    def skipped(self) -> dict[str, str]:
        """Normalisations that are as they were, with the reason as a sentence."""
        return {name: str(skip) for name, skip in self.skips.items()}

    def __str__(self) -> str:
        lines = [f"{len(self.norms)} re-estimated, {len(self.skips)} left as they were"]
        lines.extend(f"  {name}: {count} values per channel" for name, count in self.norms.items())
        lines.extend(f"  {name}: left: {skip}" for name, skip in self.skips.items())
        return "\n".join(lines)


# What is made under inference mode could never be trained.
@torch.inference_mode(False)
@torch.no_grad()
def reestimate_batch_norm_(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Callable[[nn.Module, Any], Any] | None = None,
) -> BatchNormReport:
    """Set running means and variances to those of what the normalisations get now, in place.

    After pruning, the inputs of a normalisation have other means and variances than those that it
    has kept since training. Weights, momentum and modes stay as they are.

    It takes many samples like those of training: statistics of a few make any network worse, a
    dense one as well. Where the dense model is at hand, `correct_batch_norm_` needs far fewer, and
    sees whether it helps; `prune_model_` calls that.

    Parameters
    ----------
    model : torch.nn.Module
        Its ``BatchNorm1d``, ``BatchNorm2d`` and ``BatchNorm3d`` are changed. Other modules run in
        evaluation mode.
    batches : iterable of batches
        A list of batches or a DataLoader, read once, as for `prune_model_`.
    forward : function of model and batch, optional
        Runs the model on a batch, as for `prune_model_`.

    Returns
    -------
    BatchNormReport
        Which normalisations have new statistics, of how many values, and why others do not.

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
    Mean and variance are those of all values of all batches together, whatever the sizes of the
    batches, added up in float64; the variance is the unbiased one, as torch keeps it. While the
    model runs, each batch is normalised by its own statistics, as in training; take batches of some
    size, with images of all kinds in each. This is known as precise batch normalisation (Wu and
    Johnson, "Rethinking 'Batch' in BatchNorm", 2021, section 3).

    In several processes, each one re-estimates on its own batches: give all of them the same.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch.calibrate import reestimate_batch_norm_
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4))
    >>> report = reestimate_batch_norm_(model, [torch.ones(6, 8), torch.zeros(2, 8)])
    >>> report.norms
    {'1': 8}
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, expected a torch.nn.Module")
    calibration, model = Calibration(batches, forward), unwrap(model)
    tracked, skips = tracked_norms(model)
    if not tracked:
        return BatchNormReport({}, skips)
    with evaluating(model), saved_statistics(tracked.values()) as saved:
        moments = pooled_moments(model, calibration, tracked)
        for name, norm in tracked.items():
            saved.restore(norm)
            if name in moments:
                moments[name].write_(norm)
            else:
                skips[name] = SkipCode.NORM_UNREACHED()
    return BatchNormReport({name: one.count for name, one in moments.items()}, skips)
