"""Reordering dimensions inside a model, so that transposable masks keep more of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tnm_core.pattern import Pattern, PatternLike, as_pattern
from tnm_core.short_repr import short_repr
from tnm_core.torch.calibrate.data import Calibration, Statistics, layer_matrices_of, layer_of
from tnm_core.torch.calibrate.permute.dimensions import (
    FreeDimension,
    beside_each_other,
    entries,
    flattens,
    reorder_,
    units_of,
    why_invalid,
)
from tnm_core.torch.calibrate.permute.probe import PermutationProbe
from tnm_core.torch.calibrate.permute.regrouping import regroup, transposable_score
from tnm_core.torch.layers import WeightAxes, masked_parametrization, unwrap, weight_axes_of


@dataclass(frozen=True)
class Permutation:
    """What `permute_` did.

    Attributes
    ----------
    orders : dict of FreeDimension to torch.Tensor of int64
        By dimension, which old unit came to each place.
    before, after : float
        Share of the score that optimal masks of the layers concerned keep, before and after.
    """

    orders: dict[FreeDimension, torch.Tensor]
    before: float
    after: float

    __repr__ = short_repr

    def undo_(self, model: nn.Module) -> None:
        """Bring the units of a model back into their old order, in place.

        Raises
        ------
        ValueError
            If a layer is masked: its mask would break its pattern in the old order. Call
            `remove_sparsity_` first to have the weights in the old order all the same.
        """
        model = unwrap(model)
        for dimension in self.orders:
            for name in (*dimension.outputs, *dimension.inputs):
                if masked_parametrization(model.get_submodule(name)) is not None:
                    raise ValueError(
                        f"layer {name!r} is masked, expected none that is: its mask breaks its "
                        "pattern in the old order; call remove_sparsity_ first"
                    )
        for dimension, order in reversed(self.orders.items()):
            reorder_(model, dimension, order.argsort())


def permute_(
    model: nn.Module,
    dimensions: Sequence[FreeDimension],
    pattern: PatternLike = "2:4",
    *,
    statistics: Statistics | None = None,
    batches: Iterable[Any] | None = None,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    rounds: int = 12,
    seed: int = 0,
) -> Permutation:
    """Reorder free dimensions so that optimal transposable masks keep more, in place.

    Call it on the dense model, before `prune_model_`.

    Parameters
    ----------
    model : torch.nn.Module
        What it computes stays the same, up to rounding, if the dimensions are free.
    dimensions : sequence of FreeDimension
        Such as those of `find_free_dimensions`, or others that you know to be free.
    pattern : str, pair of int, or Pattern
        The transposable pattern that the model is going to have.
    statistics : Statistics, optional
        Of the model's layers, before the reordering: entries are then worth w² times the mean
        square of their input, else w². Each layer that is large enough for the pattern counts the
        same.
    batches : iterable of batches, optional
        With its first batch a copy of the model verifies that the dimensions are free.
    forward : function of model and batch, optional
        As in `prune_model_`.
    rounds : int
        Reassignments of one unit of every tile.
    seed : int
        Of the choice of units.

    Returns
    -------
    Permutation
        With the orders, and `undo_`.

    Raises
    ------
    ValueError
        If a dimension names something else than dense Linear and Conv2d layers of the same size,
        lets channels leave their groups, or is not free, as far as `batches` shows. The
        model is unchanged then.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch.calibrate import FreeDimension, permute_
    >>> model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(),
    ...                             torch.nn.Linear(32, 8))
    >>> done = permute_(model, [FreeDimension(("0",), ("2",))])
    >>> done.after > done.before
    True
    """
    wanted = as_pattern(pattern)
    if not wanted.transposable:
        raise ValueError(f"pattern is {wanted}, expected a transposable one")
    model = unwrap(model)
    for dimension in dimensions:
        _check_fits(model, dimension, wanted.m)
    if batches is not None:
        _check_free(dimensions, PermutationProbe(model, Calibration(batches, forward), seed))
    scores = _UnitScores(model, statistics, wanted)
    found = {one: _best_order(model, one, scores, rounds, seed) for one in dimensions}
    for dimension, best in found.items():
        reorder_(model, dimension, best.order)
    total = max(sum(best.total for best in found.values()), 1e-300)
    return Permutation(
        {dimension: best.order for dimension, best in found.items()},
        sum(best.before for best in found.values()) / total,
        sum(best.after for best in found.values()) / total,
    )


@dataclass(frozen=True)
class _UnitScores:
    """Scores of the weights of a model, as the tiles of their masks see them."""

    model: nn.Module
    statistics: Statistics | None
    pattern: Pattern

    def counts(self, name: str) -> bool:
        """Whether a layer is going to have a mask."""
        layer = layer_of(self.model, name)
        return isinstance(weight_axes_of(layer, layer.weight, self.pattern), WeightAxes)

    def of_layer(self, name: str, side: int) -> torch.Tensor:
        """Return output (side 0) or input units times what each meets, filled up to tiles."""
        layer = layer_of(self.model, name)
        matrices = layer_matrices_of(layer)
        scores = matrices.of_weight(layer.weight.detach().double().cpu().square())
        # Layers that no data reach have no statistics; what they meet is unknown.
        moments = None if self.statistics is None else self.statistics.layers.get(name)
        if moments is not None:
            scores = scores * (moments.xx.diagonal(0, -2, -1) / moments.count).cpu()[:, None]
        scores = scores / scores.sum().clamp_min(1e-300)
        # Groups, outputs, kernel positions, channels: a tile lies in the first and last of a layer.
        scores = scores.view(matrices.groups, matrices.outputs, matrices.positions, -1)
        if side:
            scores = scores.transpose(1, 3)
        scores = nn.functional.pad(scores, (0, -scores.shape[3] % self.pattern.m))
        return scores.flatten(0, 1).flatten(1).contiguous()


@dataclass(frozen=True)
class _Best:
    """The best order found, and what masks keep before and after, of how much."""

    order: torch.Tensor
    before: float
    after: float
    total: float


def _best_order(
    model: nn.Module, dimension: FreeDimension, worth: _UnitScores, rounds: int, seed: int
) -> _Best:
    units = units_of(model, dimension)
    n, m = worth.pattern.n, worth.pattern.m
    parts = [
        worth.of_layer(name, side)
        for side, names in enumerate((dimension.outputs, dimension.inputs))
        for name in names
        if worth.counts(name)
    ]
    if dimension.block is not None and not flattens(model, dimension):
        parts = [beside_each_other(part, units, dimension.block) for part in parts]
    scores = torch.cat([part for part in parts if len(part) == units] or [torch.zeros(units, 0)], 1)
    runs = [part for part in parts if len(part) != units]

    def kept(order: torch.Tensor) -> float:
        flattened = (one[entries(order, len(one))] for one in runs)
        return sum(transposable_score(x, n, m) for x in (scores[order], *flattened))

    stay = torch.arange(units)
    order = stay
    if scores.numel():
        block = dimension.block or units
        order = torch.cat([
            start + regroup(scores[start : start + block], n, m, rounds, seed)
            for start in range(0, units, block)
        ])  # fmt: skip
    before, after = kept(stay), kept(order)
    if after < before:  # a flattened layer, whose tiles the search does not see, lost more
        order, after = stay, before
    return _Best(order, before, after, sum(float(x.sum()) for x in (scores, *runs)))


def _check_fits(model: nn.Module, dimension: FreeDimension, m: int) -> None:
    reason = why_invalid(model, dimension)
    if reason is None and dimension.block is not None and dimension.block % m:
        reason = f"block is {dimension.block}, expected a multiple of m = {m}"
    if reason is not None:
        raise ValueError(f"{dimension}: {reason}")


def _check_free(dimensions: Sequence[FreeDimension], probe: PermutationProbe) -> None:
    for dimension in dimensions:
        change = probe.change(dimension)
        if not change <= probe.tolerance:
            raise ValueError(
                f"{dimension} is not free: another order changes the model's output by "
                f"{change:.2g}, expected at most {probe.tolerance:.2g}; see that all layers and "
                "normalisations that meet these units are named"
            )
        if not probe.matters(dimension):
            raise ValueError(
                f"{dimension} cannot be verified: the model's output does not depend on it; give "
                "forward= that returns what does, or no batches"
            )
