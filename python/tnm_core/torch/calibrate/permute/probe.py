"""Trying on a copy of a model whether the order of units matters to what it computes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data import Calibration, evaluating, first_tensor
from tnm_core.torch.calibrate.permute.dimensions import FreeDimension, reorder_, units_of

_SAMPLES = 4


class PermutationProbe:
    """A copy of a model in which units can be moved, and what the model computes without."""

    def __init__(self, model: nn.Module, calibration: Calibration, seed: int = 0) -> None:
        batch = next(iter(calibration.batches), None)
        if batch is None:
            raise ValueError("batches holds no batch, expected at least one")
        self.calibration = calibration
        self.seed = seed
        self.model, self.batch = copy.deepcopy(model).double(), _first_rows(_doubled(batch))
        expected = self._output_in_float64()
        if expected is None:
            self.batch = _doubled(batch)
            expected = self._output_in_float64()
        if expected is None:
            self.model, self.batch = copy.deepcopy(model), batch
            expected = self._output()
        self.expected = expected
        precision = min(1e3 * torch.finfo(self.expected.dtype).eps, 1e-3)
        self.tolerance = precision * float(self.expected.abs().max().clamp_min(1e-30))

    def matters(self, dimension: FreeDimension) -> bool:
        """Whether the output changes when only the first layer's units are shuffled."""
        first = FreeDimension(dimension.outputs[:1], (), dimension.block)
        return self.change(first) > 10 * self.tolerance

    def change(self, dimension: FreeDimension) -> float:
        """Return the largest change of the output when a dimension is shuffled."""
        units = units_of(self.model, dimension)
        block = dimension.block or units
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.cat([
            start + torch.randperm(block, generator=generator) for start in range(0, units, block)
        ])  # fmt: skip
        reorder_(self.model, dimension, order)
        try:
            change = (self._output() - self.expected).abs().max()
        finally:
            reorder_(self.model, dimension, order.argsort())
        return float(change)

    def run(self) -> Any:
        """Run the copy on the batch."""
        with torch.no_grad(), evaluating(self.model):
            return self.calibration.forward(self.model, self.batch)

    def _output_in_float64(self) -> torch.Tensor | None:
        """Return the output, if the model can be run in float64."""
        try:
            output = self._output()
        except Exception:  # it is run as it is then, and fails again if it must
            return None
        return output if output.dtype == torch.float64 else None

    def _output(self) -> torch.Tensor:
        output = first_tensor(self.run())
        if output is None or not output.is_floating_point():
            raise TypeError(
                "the model returns no floating-point tensor to compare, expected one; give forward="
            )
        return output


def _doubled(batch: Any) -> Any:
    """Turn the floating-point tensors of a batch to float64."""
    return _mapped(batch, lambda one: one.double() if one.is_floating_point() else one)


def _first_rows(batch: Any) -> Any:
    """Take the first samples of a batch, which are enough to see a difference."""
    return _mapped(batch, lambda one: one[:_SAMPLES] if one.ndim else one)


def _mapped(batch: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if isinstance(batch, torch.Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {key: _mapped(value, change) for key, value in batch.items()}
    if type(batch) in (tuple, list):
        return type(batch)(_mapped(one, change) for one in batch)
    return batch
