"""Pruning the layers that share an input, as one least-squares problem."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from tnm_core.pattern import Pattern
from tnm_core.scale import Workers
from tnm_core.skip import SkipCode
from tnm_core.torch.calibrate.data import (
    CalibratedLayer,
    Collector,
    Group,
    Unpaired,
    layer_matrices_of,
    layer_of,
    parameters_of,
    write_parameters_,
)
from tnm_core.torch.calibrate.model.layer_task import (
    LayerTask,
    SentTask,
    SolvedLayer,
    solve_layer,
    solve_sent,
    solved,
)
from tnm_core.torch.calibrate.model.prune_report import PrunedLayer
from tnm_core.torch.calibrate.solvers import (
    LayerLeastSquares,
    Recipe,
    layer_least_squares_of,
    problem_without_data,
)

LayerAndMask = tuple[PrunedLayer, torch.Tensor]


@torch.no_grad()
def prune_group_(
    collector: Collector,
    group: Group,
    patterns: Mapping[str, Pattern],
    recipe: Recipe,
    workers: Workers,
) -> list[LayerAndMask]:
    """Prune the layers of a group in the pruned model; return each with its mask.

    If rows of the two models cannot be paired, they are pruned on the dense model's inputs.
    """
    try:
        return _prune_(collector, group, patterns, recipe, workers)
    except Unpaired as cause:
        alone = replace(recipe, sequential=False)
        done = _prune_(collector.of_dense_model(), group, patterns, alone, workers)
        remark = SkipCode.UNPAIRED(step=str(cause))
        return [(replace(layer, remark=remark), mask) for layer, mask in done]


@torch.no_grad()
def prune_groups_ahead_(
    collector: Collector,
    groups: Sequence[Group],
    patterns: Mapping[str, Pattern],
    recipe: Recipe,
    workers: Workers,
) -> Iterator[list[LayerAndMask]]:
    """Prune groups that do not depend on each other, in order, posing problems meanwhile."""
    tasks = (task for group in groups for task in _pose(collector, group, patterns, recipe))
    done = _solve(workers, tasks)
    for group in groups:
        found = [next(done) for _ in group.names]
        yield [_write_(layer_of(collector.runs.pruned, name), *one)
               for name, one in zip(group.names, found, strict=True)]  # fmt: skip


def _prune_(
    collector: Collector,
    group: Group,
    patterns: Mapping[str, Pattern],
    recipe: Recipe,
    workers: Workers,
) -> list[LayerAndMask]:
    tasks = _pose(collector, group, patterns, recipe)
    return [_write_(layer_of(collector.runs.pruned, name), name, solution)
            for name, solution in _solve(workers, tasks)]  # fmt: skip


def _pose(
    collector: Collector, group: Group, patterns: Mapping[str, Pattern], recipe: Recipe
) -> Iterator[LayerTask]:
    """Pose the problems of the layers of a group."""
    start = time.perf_counter()
    layers = [layer_of(collector.runs.pruned, name) for name in group.names]
    problem = _problem(collector, group, layers, recipe)
    if recipe.search == "admm":
        _ = problem.hessian.spectrum  # here, because its time is that of all layers
    sample = collector.sample(group) if recipe.reconstruction == "adam" else None
    shared = (time.perf_counter() - start) / len(group.names)
    first = 0
    for name, layer in zip(group.names, layers, strict=True):
        matrices = layer_matrices_of(layer)
        here = slice(first, first + matrices.outputs)
        first = here.stop
        _, bias = parameters_of(layer)
        part = None if sample is None else sample.outputs(here)
        yield LayerTask(
            name, problem.outputs(here), matrices, patterns[name], recipe, bias, part, shared
        )


def _solve(workers: Workers, tasks: Iterable[LayerTask]) -> Iterator[tuple[str, SolvedLayer]]:
    """Solve problems in order, here or elsewhere."""
    if workers.are_elsewhere:
        sent = (SentTask.of(task) for task in tasks)
        for one, answer in workers.run(solve_sent, sent, ordered=True):
            yield one.name, solved(answer)
        return
    for task in tasks:
        yield task.name, solve_layer(task)


def _write_(layer: CalibratedLayer, name: str, solution: SolvedLayer) -> LayerAndMask:
    """Give a layer what was found; return it with its mask."""
    matrices, pruned = layer_matrices_of(layer), solution.matrices
    dense, _ = parameters_of(layer)
    magnitude = dense.abs().double()
    retained = (magnitude * pruned.mask).sum() / magnitude.sum().clamp_min(1e-300)
    write_parameters_(layer, pruned.weight, pruned.bias)
    told = PrunedLayer(
        name=name,
        kind=type(layer).__name__,
        shape=matrices.shape,
        pattern=str(solution.pattern),
        error=solution.error,
        retained=float(retained),
        density=float(pruned.mask.float().mean()),
        seconds=solution.seconds,
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
