"""Pruning the layers that share an input, as one least-squares problem."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from tnm_core.pattern import Pattern
from tnm_core.skip import SkipCode
from tnm_core.torch.calibrate.data import (
    CalibratedLayer,
    Collector,
    Group,
    Sample,
    Unpaired,
    layer_matrices_of,
    layer_of,
    parameters_of,
    write_parameters_,
)
from tnm_core.torch.calibrate.model.prune_report import PrunedLayer
from tnm_core.torch.calibrate.solvers import (
    LayerLeastSquares,
    Recipe,
    layer_least_squares_of,
    problem_without_data,
    prune_matrices,
)


@torch.no_grad()
def prune_group_(
    collector: Collector, group: Group, patterns: Mapping[str, Pattern], recipe: Recipe
) -> list[tuple[PrunedLayer, torch.Tensor]]:
    """Prune the layers of a group in the pruned model; return each with its mask.

    If rows of the two models cannot be paired, they are pruned on the dense model's inputs.
    """
    try:
        return _prune_(collector, group, patterns, recipe)
    except Unpaired as cause:
        alone = replace(recipe, sequential=False)
        done = _prune_(collector.of_dense_model(), group, patterns, alone)
        remark = SkipCode.UNPAIRED(step=str(cause))
        return [(replace(layer, remark=remark), mask) for layer, mask in done]


def _prune_(
    collector: Collector, group: Group, patterns: Mapping[str, Pattern], recipe: Recipe
) -> list[tuple[PrunedLayer, torch.Tensor]]:
    start = time.perf_counter()
    layers = [layer_of(collector.runs.pruned, name) for name in group.names]
    problem = _problem(collector, group, layers, recipe)
    if recipe.search == "admm":
        _ = problem.hessian.spectrum  # here, because its time is that of all layers
    sample = collector.sample(group) if recipe.reconstruction == "adam" else None
    shared = (time.perf_counter() - start) / len(group.names)
    done = []
    first = 0
    for name, layer in zip(group.names, layers, strict=True):
        start = time.perf_counter()
        here = slice(first, first + layer_matrices_of(layer).outputs)
        first = here.stop
        own = problem.outputs(here)
        part = None if sample is None else sample.outputs(here)
        told, mask = _prune_layer_(name, layer, own, patterns[name], recipe, part)
        seconds = shared + time.perf_counter() - start
        done.append((replace(told, seconds=seconds), mask))
    return done


def _prune_layer_(
    name: str,
    layer: CalibratedLayer,
    problem: LayerLeastSquares,
    pattern: Pattern,
    recipe: Recipe,
    sample: Sample | None,
) -> tuple[PrunedLayer, torch.Tensor]:
    """Prune a layer; return it with its mask."""
    matrices = layer_matrices_of(layer)
    dense, bias = parameters_of(layer)
    pruned = prune_matrices(problem, matrices, pattern, recipe, bias=bias, sample=sample)
    magnitude = dense.abs()
    retained = (magnitude * pruned.mask).sum() / magnitude.sum().clamp_min(1e-300)
    write_parameters_(layer, pruned.weight, pruned.bias)
    told = PrunedLayer(
        name=name,
        kind=type(layer).__name__,
        shape=matrices.shape,
        pattern=str(pattern),
        error=problem.relative_error(pruned.weight.double()) if recipe.needs_data else None,
        retained=float(retained),
        density=float(pruned.mask.float().mean()),
    )
    return told, matrices.to_weight(pruned.mask).contiguous()


def _problem(
    collector: Collector, group: Group, layers: Sequence[CalibratedLayer], recipe: Recipe
) -> LayerLeastSquares:
    """Pose the problem of the layers of a group, their outputs beside each other."""
    dense, bias = parameters_of(*layers)
    if not recipe.needs_data:
        return problem_without_data(dense)
    return layer_least_squares_of(
        collector.moments(group),
        dense,
        name=group.names[0],
        damping=recipe.damping,
        alpha=recipe.alpha if recipe.sequential else 1.0,
        bias=bias,
        centre=bias is not None and recipe.bias,
    )
