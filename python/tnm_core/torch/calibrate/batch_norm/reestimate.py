"""Re-estimating the statistics of batch normalisation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import UninitializedBuffer

from tnm_core.short_repr import short_repr
from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.calibrate.data import Calibration, evaluating, given_tensor
from tnm_core.torch.layers import unwrap

# How many entries are widened to float64 at once.
_ENTRIES = 1 << 20


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
    has kept since training. Weights, momentum and modes stay as they are. `prune_model_` does this
    at the end, unless its recipe says otherwise; it is for other ways of pruning, and for other
    data.

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
    tracked, skips = _tracked(model)
    if not tracked:
        return BatchNormReport({}, skips)
    with evaluating(model), _saved(tracked.values()) as saved:
        moments = _pooled(model, calibration, tracked)
        for name, norm in tracked.items():
            saved.restore(norm)
            if name in moments:
                moments[name].write_(norm)
            else:
                skips[name] = SkipCode.NORM_UNREACHED()
    return BatchNormReport({name: one.count for name, one in moments.items()}, skips)


class _Moments:
    """Count, mean and squared deviations of each channel, in float64, of all that was added."""

    def __init__(self) -> None:
        self.count, self.calls = 0, 0
        self.mean: torch.Tensor = torch.zeros(())
        self.squares: torch.Tensor = torch.zeros(())

    def add(self, values: torch.Tensor) -> None:
        """Take a batch (samples, channels, ...)."""
        self.calls += 1
        samples = max(1, _ENTRIES * len(values) // max(1, values.numel()))
        for part in torch.split(values, samples):
            self._merge(part.detach().movedim(1, 0).flatten(1).double())

    def _merge(self, channels: torch.Tensor) -> None:
        """Add values (channels, values): Chan, Golub and LeVeque's formula for two parts."""
        new = channels.shape[1]
        if not new:
            return
        mean = channels.mean(1)
        squares = (channels - mean[:, None]).square_().sum(1)
        if not self.count:
            self.count, self.mean, self.squares = new, mean, squares
            return
        count, apart = self.count + new, mean - self.mean
        self.squares = self.squares + squares + apart.square() * (self.count * new / count)
        self.mean = self.mean + apart * (new / count)
        self.count = count

    def write_(self, norm: _BatchNorm) -> None:
        """Make them the running statistics."""
        cast(torch.Tensor, norm.running_mean).copy_(self.mean)
        cast(torch.Tensor, norm.running_var).copy_(self.squares / (self.count - 1))
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.fill_(self.calls)

    def check(self, name: str) -> None:
        """Refuse what is no statistic."""
        if not bool((self.mean + self.squares).isfinite().all()):
            raise ValueError(
                f"batch normalisation {name!r} gets NaN or infinite values, expected finite ones"
            )


def _tracked(model: nn.Module) -> tuple[dict[str, _BatchNorm], dict[str, Skip]]:
    """List the normalisations with running statistics, and why others have none to set."""
    tracked: dict[str, _BatchNorm] = {}
    skips: dict[str, Skip] = {}
    for name, norm in model.named_modules():
        if not isinstance(norm, _BatchNorm):
            continue
        if norm.running_mean is None or norm.running_var is None:
            skips[name] = SkipCode.NO_RUNNING_STATISTICS()
        elif isinstance(norm.running_mean, UninitializedBuffer):
            skips[name] = SkipCode.NO_SHAPE_YET()
        else:
            _check_not_synchronised(name, norm, norm.running_mean)
            tracked[name] = norm
    return tracked, skips


def _check_not_synchronised(name: str, norm: _BatchNorm, mean: torch.Tensor) -> None:
    if not isinstance(norm, nn.SyncBatchNorm):
        return
    together = distributed.is_available() and distributed.is_initialized()
    if (together and distributed.get_world_size() > 1) or mean.device.type == "cpu":
        where = "on the CPU" if mean.device.type == "cpu" else "in several processes"
        raise ValueError(
            f"{name or 'the model'} is a SyncBatchNorm {where}, expected BatchNorm1d, BatchNorm2d "
            "or BatchNorm3d, or one process with a GPU: re-estimate before convert_sync_batchnorm"
        )


def _pooled(
    model: nn.Module, calibration: Calibration, norms: Mapping[str, _BatchNorm]
) -> dict[str, _Moments]:
    """Run the model, each batch normalised by its own statistics; those that are reached."""
    moments = {name: _Moments() for name in norms}

    def look(name: str, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        values = given_tensor(args, kwargs)
        if values is not None:
            moments[name].add(values)
            moments[name].check(name)

    empty = True
    with ExitStack() as hooks:
        for name, norm in norms.items():
            hooks.enter_context(
                norm.register_forward_pre_hook(partial(look, name), with_kwargs=True)
            )
            # Training mode normalises by the batch; without momentum nothing is kept of it.
            norm.training, norm.momentum = True, 0.0
        for batch in calibration.batches:
            calibration.forward(model, batch)
            empty = False
    if empty:
        raise ValueError("batches is empty, expected one batch at least")
    return {name: one for name, one in moments.items() if one.count > 1}


class _Saved:
    """Running statistics and momentum of normalisations, to be put back."""

    def __init__(self, norms: Iterable[_BatchNorm]) -> None:
        self._buffers = {
            norm: {name: one.clone() for name, one in norm.named_buffers(recurse=False)}
            for norm in norms
        }
        self._momenta = {norm: norm.momentum for norm in self._buffers}

    def restore(self, norm: _BatchNorm) -> None:
        """Put back what a normalisation held; its mode is left alone."""
        norm.momentum = self._momenta[norm]
        for name, one in norm.named_buffers(recurse=False):
            one.copy_(self._buffers[norm][name])

    def restore_all(self) -> None:
        """Put back what all of them held."""
        for norm in self._buffers:
            self.restore(norm)


@contextmanager
def _saved(norms: Iterable[_BatchNorm]) -> Iterator[_Saved]:
    """Put everything back if what is done within fails."""
    saved = _Saved(norms)
    try:
        yield saved
    except BaseException:
        saved.restore_all()
        raise
