"""Finding dimensions whose order does not matter, by trying on a copy of the model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data import Calibration, evaluating, first_tensor, record
from tnm_core.torch.calibrate.permute.dimensions import (
    FreeDimension,
    block_needed,
    channels_of,
    is_depthwise,
    why_invalid,
    reorder_,
    units_of,
)
from tnm_core.torch.layers import unwrap

__all__ = ["PermutationProbe", "find_free_dimensions"]

_SAMPLES = 4
_LEAST_BLOCK = 4  # two tiles of the smallest pattern


def find_free_dimensions(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    head_size: int | None = None,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    seed: int = 0,
) -> list[FreeDimension]:
    """Find dimensions whose order does not matter, by trying: shuffle, run, compare.

    Tried are: the outputs of the layers that share an input, one by one (values, channels), and all
    together (the hidden units of a gated feed-forward network), with the inputs of the layers that
    run next, through normalisations and depthwise convolutions between; and with `head_size`, pairs
    of layers that share an input, without another (queries and keys). Grouped convolutions and
    group normalisation restrict the order to blocks.

    Parameters
    ----------
    model : torch.nn.Module
        Linear and Conv2d layers are looked at. A copy of it runs once or twice for each attempt, in
        float64 and on a few samples of the first batch if it can, else as it is.
    batches : iterable of batches
        Only the first batch is used.
    head_size : int, optional
        Also try to move the units of Linear layers within blocks of so many.
    forward : function of model and batch, optional
        As in `prune_model_`.
    seed : int
        Of the shuffling.

    Raises
    ------
    ValueError
        If there is no batch.
    TypeError
        If the model returns no floating-point tensor to compare.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch.calibrate import find_free_dimensions
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.BatchNorm2d(16),
    ...                             torch.nn.ReLU(), torch.nn.Conv2d(16, 8, 3))
    >>> find_free_dimensions(model, [torch.randn(2, 3, 8, 8)])
    [FreeDimension(outputs=('0',), inputs=('3',), block=None, through=('1',))]
    """
    trial = PermutationProbe(unwrap(model), Calibration(batches, forward), seed)
    calls = _calls(trial)
    found: list[FreeDimension] = []
    for together in calls.groups:
        for tried in _candidates(trial.model, calls, together, head_size):
            if _taken(found, tried) or why_invalid(trial.model, tried) is not None:
                continue
            if trial.is_free(tried) and trial.matters(tried):
                found.append(tried)
    return found


class PermutationProbe:
    """A copy of a model in which units can be moved, and what the model computes without."""

    def __init__(self, model: nn.Module, calibration: Calibration, seed: int = 0) -> None:
        batch = next(iter(calibration.batches), None)
        if batch is None:
            raise ValueError("batches holds no batch, expected at least one")
        self.calibration = calibration
        self.seed = seed
        self.model = copy.deepcopy(model).double()
        expected = self._try(_first_rows(_doubled(batch))) or self._try(_doubled(batch))
        if expected is None:
            self.model, self.batch = copy.deepcopy(model), batch
            expected = (self._output(),)
        (self.expected,) = expected
        precision = min(1e3 * torch.finfo(self.expected.dtype).eps, 1e-3)
        self.tolerance = precision * float(self.expected.abs().max().clamp_min(1e-30))

    def is_free(self, dimension: FreeDimension) -> bool:
        """Whether the output stays the same when a dimension is shuffled."""
        return self.change(dimension) <= self.tolerance

    def matters(self, dimension: FreeDimension) -> bool:
        """Whether the output changes when only the first layer's units are shuffled."""
        first = FreeDimension(dimension.outputs[:1], (), dimension.block)
        return self.change(first) > 10 * self.tolerance

    def change(self, dimension: FreeDimension) -> float:
        """The largest change of the output when a dimension is shuffled."""
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

    def _try(self, batch: Any) -> tuple[torch.Tensor] | None:
        """The output in float64, if the model can be run so."""
        self.batch = batch
        try:
            output = self._output()
        except Exception:  # it is run as it is then, and fails again if it must
            return None
        return (output,) if output.dtype == torch.float64 else None

    def _output(self) -> torch.Tensor:
        output = first_tensor(self.run())
        if output is None or not output.is_floating_point():
            raise TypeError(
                "the model returns no floating-point tensor to compare, expected one; give forward="
            )
        return output


@dataclass(frozen=True)
class _Calls:
    """In which order modules were called, and which layers had the same input."""

    position: dict[str, int]
    groups: list[tuple[str, ...]]
    between: tuple[str, ...]

    def following(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The layers that get the next tensor after the outputs of some layers."""
        last = max(self.position[name] for name in names)
        return next((one for one in self.groups if self.position[one[0]] > last), ())

    def through(self, outputs: tuple[str, ...], inputs: tuple[str, ...]) -> tuple[str, ...]:
        """What was called between layers."""
        first = min(self.position[name] for name in outputs)
        last = min((self.position[name] for name in inputs), default=first)
        return tuple(name for name in self.between if first < self.position[name] < last)


def _calls(trial: PermutationProbe) -> _Calls:
    modules = dict(trial.model.named_modules())
    layers = {
        name for name, module in modules.items()
        if type(module) in (nn.Linear, nn.Conv2d) and not is_depthwise(module)
    }  # fmt: skip
    between = {name for name, module in modules.items() if channels_of(module) is not None}
    watched = {name: module for name, module in modules.items() if name in layers | between}
    made = record(trial.run, watched, outputs=False)
    groups: list[list[str]] = []
    shared: dict[int, list[str]] = {}
    for name, calls in made.items():
        if name not in layers:
            continue
        # The records keep the tensors alive, so that no two of them have the same identity.
        key = id(calls[0].input) if len(calls) == 1 else id(calls)
        if key not in shared:
            shared[key] = []
            groups.append(shared[key])
        shared[key].append(name)
    return _Calls(
        {name: position for position, name in enumerate(made)},
        [tuple(group) for group in groups],
        tuple(name for name in made if name in between),
    )


def _candidates(
    model: nn.Module, calls: _Calls, together: tuple[str, ...], head_size: int | None
) -> list[FreeDimension]:
    tried = [one for name in together for one in _with_next(model, calls, (name,), head_size)]
    linear = all(isinstance(model.get_submodule(name), nn.Linear) for name in together)
    if head_size is not None and linear:
        pairs = [(a, b) for i, a in enumerate(together) for b in together[i + 1 :]]
        tried += [FreeDimension(pair, (), head_size) for pair in pairs]
    if len(together) > 1:  # last, because it ties the layers to the same order
        tried += _with_next(model, calls, together, head_size)
    return tried


def _with_next(
    model: nn.Module, calls: _Calls, outputs: tuple[str, ...], head_size: int | None
) -> list[FreeDimension]:
    """These outputs with the inputs of what follows, with and without what is between."""
    inputs = calls.following(outputs)
    between = calls.through(outputs, inputs)
    tried = []
    for through in dict.fromkeys((between, ())):
        needed = block_needed(model, FreeDimension(outputs, inputs, None, through))
        blocks = [needed] if needed is None or needed >= _LEAST_BLOCK else []
        if head_size is not None and isinstance(model.get_submodule(outputs[0]), nn.Linear):
            blocks.append(head_size)
        tried += [FreeDimension(outputs, inputs, block, through) for block in blocks]
    return [one for one in tried if one.inputs or len(one.outputs) > 1]


def _taken(found: Sequence[FreeDimension], tried: FreeDimension) -> bool:
    return any(
        set(one.outputs) & set(tried.outputs) or set(one.inputs) & set(tried.inputs)
        for one in found
    )


def _doubled(batch: Any) -> Any:
    """The same batch with its floating-point tensors in float64."""
    return _mapped(batch, lambda one: one.double() if one.is_floating_point() else one)


def _first_rows(batch: Any) -> Any:
    """The first samples of a batch, which are enough to see a difference."""
    return _mapped(batch, lambda one: one[:_SAMPLES] if one.ndim else one)


def _mapped(batch: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if isinstance(batch, torch.Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {key: _mapped(value, change) for key, value in batch.items()}
    if type(batch) in (tuple, list):
        return type(batch)(_mapped(one, change) for one in batch)
    return batch
