"""What batch normalisations get: counts, means and variances, and putting back what they held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import UninitializedBuffer

from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.calibrate.data import Calibration, given_tensor

# How many entries are widened to float64 at once.
_ENTRIES = 1 << 20


class ChannelMoments:
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

    @property
    def variance(self) -> torch.Tensor:
        """The unbiased one, as torch keeps it."""
        return self.squares / (self.count - 1)

    def write_(self, norm: _BatchNorm) -> None:
        """Make them the running statistics."""
        cast(torch.Tensor, norm.running_mean).copy_(self.mean)
        cast(torch.Tensor, norm.running_var).copy_(self.variance)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.fill_(self.calls)

    def check(self, name: str) -> None:
        """Refuse what is no statistic."""
        if not bool((self.mean + self.squares).isfinite().all()):
            raise ValueError(
                f"batch normalisation {name!r} gets NaN or infinite values, expected finite ones"
            )


def tracked_norms(model: nn.Module) -> tuple[dict[str, _BatchNorm], dict[str, Skip]]:
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


def pooled_moments(
    model: nn.Module, calibration: Calibration, norms: Mapping[str, _BatchNorm]
) -> dict[str, ChannelMoments]:
    """Run the model, each batch normalised by its own statistics; those that are reached."""
    empty = True
    with own_statistics(norms) as moments:
        for batch in calibration.batches:
            calibration.forward(model, batch)
            empty = False
    if empty:
        raise ValueError("batches is empty, expected one batch at least")
    return {name: one for name, one in moments.items() if one.count > 1}


@contextmanager
def own_statistics(norms: Mapping[str, _BatchNorm]) -> Iterator[dict[str, ChannelMoments]]:
    """Normalise each batch by its own statistics within, and add up what normalisations get."""
    moments = {name: ChannelMoments() for name in norms}

    def look(name: str, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        values = given_tensor(args, kwargs)
        if values is not None:
            moments[name].add(values)
            moments[name].check(name)

    modes = {norm: (norm.training, norm.momentum) for norm in norms.values()}
    with ExitStack() as hooks:
        for name, norm in norms.items():
            hooks.enter_context(
                norm.register_forward_pre_hook(partial(look, name), with_kwargs=True)
            )
            # Training mode normalises by the batch; without momentum nothing is kept of it.
            norm.training, norm.momentum = True, 0.0
        try:
            yield moments
        finally:
            for norm, (training, momentum) in modes.items():
                norm.training, norm.momentum = training, momentum


class SavedStatistics:
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
def saved_statistics(norms: Iterable[_BatchNorm]) -> Iterator[SavedStatistics]:
    """Put everything back if what is done within fails."""
    saved = SavedStatistics(norms)
    try:
        yield saved
    except BaseException:
        saved.restore_all()
        raise
