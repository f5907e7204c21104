"""Pruning one layer at a time, to see what each pattern costs and loses on each layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from tnm_core.pattern import Pattern, PatternLike, as_pattern
from tnm_core.short_repr import short_repr
from tnm_core.torch.calibrate.data import (
    CalibratedLayer,
    Statistics,
    layer_matrices_of,
    layer_of,
    parameters_of,
    write_parameters_,
)
from tnm_core.torch.calibrate.model import announcer
from tnm_core.torch.calibrate.solvers import (
    Recipe,
    layer_least_squares_of,
    prune_matrices,
    recipe_of,
)
from tnm_core.torch.layers import WeightAxes, unwrap, weight_axes_of

DENSE = "dense"


@dataclass(frozen=True)
class Sensitivity:
    """What each pattern costs and loses on each layer alone.

    Attributes
    ----------
    layers, patterns : tuple of str
        Names; the first pattern is ``"dense"``.
    loss : ndarray of float64, shape (layers, patterns)
        Infinite where a pattern does not fit a layer.
    parameters, multiply_adds : ndarray of float64, shape (layers, patterns)
        Kept entries, and kept entries times rows of calibration data.
    """

    layers: tuple[str, ...]
    patterns: tuple[str, ...]
    loss: np.ndarray[Any, np.dtype[np.float64]]
    parameters: np.ndarray[Any, np.dtype[np.float64]]
    multiply_adds: np.ndarray[Any, np.dtype[np.float64]]

    __repr__ = short_repr


@dataclass(frozen=True)
class ScannedLayer:
    """What a scan found for one layer.

    Attributes
    ----------
    name : str
        Of the layer.
    losses : dict of str to float
        By pattern, ``"dense"`` left out; infinite where a pattern does not fit.
    seconds : float
        Wall time.
    """

    name: str
    losses: dict[str, float]
    seconds: float

    __repr__ = short_repr


def sensitivity_scan(
    model: nn.Module,
    statistics: Statistics,
    patterns: Sequence[PatternLike],
    *,
    recipe: str | Recipe = "least_squares",
    evaluate: Callable[[nn.Module], float] | None = None,
    progress: bool | Callable[[ScannedLayer, int, int], None] = False,
) -> Sensitivity:
    """Prune one layer at a time, each with every pattern, and say what is lost.

    Parameters
    ----------
    model : torch.nn.Module
        Dense; as before afterwards.
    statistics : Statistics
        Of its layers; those in it are scanned.
    patterns : sequence of str, pairs of int, or Pattern
        Such as ``["2:4", "4:8", "row 2:4"]``; ``"dense"`` is added.
    recipe : str or Recipe
        One that needs no data but the statistics.
    evaluate : function of model, optional
        The loss of the model, such as `output_change` for some of the data, or the task's own on
        held-out data. A layer's loss is how much it rises. By default the squared error of the
        layer's outputs over their variance: quicker, but for the whole model often a poor guide.
    progress : bool or function
        True prints a line per layer on standard error; a function gets each `ScannedLayer`, how
        many layers are done, and how many there are.

    Returns
    -------
    Sensitivity
        With a row for each layer, in the order of the statistics.

    Raises
    ------
    TypeError
        If `progress` is neither a bool nor a function.
    ValueError
        If there is no pattern or layer, the recipe reconstructs by Adam, or the dense model's loss
        is not finite.
    """
    chosen = recipe_of(recipe)
    if chosen.reconstruction == "adam":
        raise ValueError("recipe reconstructs by Adam, expected one that statistics suffice for")
    announce = announcer(progress, _line)
    wanted = [as_pattern(one) for one in patterns if one != DENSE]
    if not wanted or not statistics.layers:
        raise ValueError(
            f"there are {len(wanted)} patterns and {len(statistics.layers)} layers, expected some"
        )
    model = unwrap(model)
    names = tuple(statistics.layers)
    loss = np.zeros((len(names), 1 + len(wanted)))
    before = evaluate(model) if evaluate is not None else 0.0
    if not np.isfinite(before):
        raise ValueError(f"evaluate returns {before} for the dense model, expected a finite loss")
    for row, name in enumerate(names):
        start = time.perf_counter()
        loss[row, 1:] = _losses(model, name, statistics, wanted, chosen, evaluate)
        if evaluate is not None:
            loss[row, 1:] -= before
        losses = dict(zip(map(str, wanted), loss[row, 1:].tolist(), strict=True))
        announce(ScannedLayer(name, losses, time.perf_counter() - start), row + 1, len(names))
    share = np.array([1.0, *(one.density for one in wanted)])
    sizes = [layer_of(model, name).weight.numel() for name in names]
    parameters = np.array(sizes, float)[:, None] * share
    rows = np.array([float(one.count) for one in statistics.layers.values()])
    return Sensitivity(
        names, (DENSE, *map(str, wanted)), loss, parameters, parameters * rows[:, None]
    )


def _losses(
    model: nn.Module,
    name: str,
    statistics: Statistics,
    patterns: Sequence[Pattern],
    recipe: Recipe,
    evaluate: Callable[[nn.Module], float] | None,
) -> list[float]:
    """Measure the loss with one layer pruned, by pattern; infinite where that does not fit."""
    layer = layer_of(model, name)
    matrices = layer_matrices_of(layer)
    dense, given = parameters_of(layer)
    problem = layer_least_squares_of(
        statistics.layers[name], dense, name=name, damping=recipe.damping, bias=given,
        centre=given is not None and recipe.bias,
    )  # fmt: skip
    losses = []
    for pattern in patterns:
        if not isinstance(weight_axes_of(layer, layer.weight, pattern), WeightAxes):
            losses.append(np.inf)
            continue
        pruned = prune_matrices(problem, matrices, pattern, recipe, bias=given)
        if evaluate is None:
            losses.append(problem.relative_error(pruned.weight.double()))
            continue
        with torch.no_grad(), _replaced(layer, pruned.weight, pruned.bias):
            losses.append(evaluate(model))
    return losses


def _line(one: ScannedLayer) -> str:
    told = ", ".join(f"{pattern} {loss:.4g}" for pattern, loss in one.losses.items())
    return f"{one.name or '(the model)'}: loss by pattern {told}, {one.seconds:.1f} s"


@contextmanager
def _replaced(
    layer: CalibratedLayer, weight: torch.Tensor, bias: torch.Tensor | None
) -> Iterator[None]:
    """Give a layer other values within, and its own again afterwards."""
    saved = parameters_of(layer)
    try:
        write_parameters_(layer, weight, bias)
        yield
    finally:
        write_parameters_(layer, *saved)
