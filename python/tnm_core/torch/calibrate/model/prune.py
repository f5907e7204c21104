"""Pruning a model after training, with calibration data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data import (
    Calibration,
    BlockChain,
    Collector,
    LayerMatrices,
    Group,
    Pattern,
    Run,
    evaluating,
    execution_groups,
    find_chain,
    find_residuals,
    layer_matrices_of,
    as_pattern,
)
from tnm_core.torch.calibrate.model.normalisation import has_batch_norm, reestimate_batch_norm
from tnm_core.torch.calibrate.model.progress import Progress, announcer
from tnm_core.torch.calibrate.model.prune_report import PrunedLayer, PruneReport, TunedBlock
from tnm_core.torch.calibrate.model.reference import dense_reference
from tnm_core.torch.calibrate.model.tuning import check_tunable, tunable_parameters, tune_block
from tnm_core.torch.calibrate.solvers import (
    PrunedMatrices,
    LayerLeastSquares,
    Recipe,
    problem_without_data,
    prune_matrices,
    layer_least_squares_of,
    recipe_of,
)
from tnm_core.torch.layers import (
    Candidate,
    Layout,
    Names,
    Pattern,
    layout_of,
    register_mask,
    select_layers,
    unwrap,
)

__all__ = ["PatternLike", "prune_model_"]

PatternLike = str | tuple[int, int] | Pattern

CALIBRATED_LAYERS: tuple[type[nn.Module], ...] = (nn.Linear, nn.Conv2d)


def prune_model_(
    model: nn.Module,
    batches: Iterable[Any],
    pattern: PatternLike | Mapping[str, PatternLike] = "2:4",
    recipe: str | Recipe = "best",
    *,
    include: Names | None = None,
    exclude: Names = (),
    forward: Callable[[nn.Module, Any], Any] | None = None,
    rows: Callable[[Any], torch.Tensor | None] | None = None,
    residuals: Mapping[str, str] | None = None,
    progress: bool | Progress = False,
) -> PruneReport:
    """Prune a trained model with calibration data, in place: masks, and the best weights on them.

    Transposable layers are masked as by `sparsify_` (so `masks`, `StaticMask` and
    `remove_sparsity_` work on the result); row-wise ones just have zeros in their weights.

    Parameters
    ----------
    model : torch.nn.Module
        Its Linear and Conv2d layers are pruned, in place; it runs in evaluation mode.
    batches : iterable of batches
        A list of batches or a DataLoader: read several times. Labels are not needed; a few hundred
        samples like those that the model will meet.
    pattern : str, pair of int, Pattern, or mapping of those by layer name
        ``"2:4"`` is transposable, ``"row 2:4"`` row-wise. Layers that a mapping does not name stay
        dense.
    recipe : str or Recipe
        One of ``"best"``, ``"tuned"``, ``"sparsegpt"``, ``"sequential"``, ``"least_squares"``,
        ``"adaprune"``, ``"wanda"``, ``"magnitude"``. ``"best"``: ADMM masks, least squares, layers
        in order; ``"tuned"``: then Adam on each block, with the masks fixed.
    include, exclude : str, sequence of str, or function, optional
        Which layers are meant, as in `sparsify_`.
    forward : function of model and batch, optional
        Runs the model on a batch; by default a mapping is passed as keyword arguments, a tuple or
        list as positional ones.
    rows : function of batch, optional
        Returns a bool tensor of shape (batch, tokens), False where tokens are padding, or None. By
        default the batch's ``"attention_mask"``, if it is a mapping with one.
    residuals : mapping of str to str, optional
        By layer whose output is added to a residual stream, the name of a module that gets that
        stream as its input. By default found by running one batch; ``{}`` for none.
    progress : bool or function
        True prints a line a layer on standard error; a function gets each `PrunedLayer`, how many
        layers are done, and how many there are. Where the recipe tunes, each `TunedBlock`, too.

    Returns
    -------
    PruneReport
        Every layer that has a weight matrix: relative error of its outputs, share of its weights'
        magnitude that is kept, seconds; or why it was left alone.

    Raises
    ------
    TypeError
        If an argument has a wrong type, or the loader can be read once only.
    ValueError
        If no layer is selected, the data never reach a selected layer, or a selected layer meets
        NaN or infinite values (the message names it), or layers share an input for some batches
        only. The model is unchanged then.

    Warns
    -----
    RankDeficientWarning
        If a layer sees fewer rows than it has columns, or constant inputs.

    Notes
    -----
    Memory beside the model: the dense values of the layers that are pruned (what does not change,
    such as embeddings, is not copied), the statistics of layers that share an input, and, where
    the model is a chain of blocks, the activations between two blocks for all calibration data
    (so that each block runs alone). Models that are no chain run from their start for each group
    of layers. Tuning adds six times the parameters of a block, its outputs for all data, and what
    backpropagation keeps for one batch.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import prune_model_
    >>> torch.manual_seed(0)  # doctest: +ELLIPSIS
    <...>
    >>> model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(),
    ...                             torch.nn.Linear(32, 8))
    >>> report = prune_model_(model, [torch.randn(64, 16) for _ in range(4)], "2:4")
    >>> [layer.name for layer in report.pruned]
    ['0', '2']
    >>> int((model[0].weight != 0).sum())
    256
    """
    chosen = recipe_of(recipe)
    calibration = Calibration(batches, forward, rows)
    patterns, left_alone = _plan(model, pattern, include, exclude)
    model = unwrap(model)
    with evaluating(model):
        done, masks, blocks = _prune(
            model, calibration, patterns, chosen, residuals, announcer(progress)
        )
    _register(model, masks, patterns)
    return PruneReport(
        recipe if isinstance(recipe, str) else "a Recipe",
        tuple(
            done.get(one.name) or PrunedLayer.left_alone(one.name, one.kind, one.shape, reason)
            for one, reason in left_alone
        ),
        tuple(blocks),
    )


def _plan(
    model: nn.Module,
    pattern: PatternLike | Mapping[str, PatternLike],
    include: Names | None,
    exclude: Names,
) -> tuple[dict[str, Pattern], list[tuple[Candidate, str]]]:
    """Which layer gets which pattern, and every layer with the reason why not."""
    mapping = pattern if isinstance(pattern, Mapping) else None
    by_name = {} if mapping is None else {k: as_pattern(v) for k, v in mapping.items()}
    default = None if mapping is not None else as_pattern(pattern)  # type: ignore[arg-type]
    found = select_layers(model, Pattern(1, 1), include, exclude, CALIBRATED_LAYERS)
    unknown = set(by_name) - {one.name for one in found}
    if unknown:
        raise ValueError(
            f"pattern names {min(unknown)!r}, expected names of layers with a weight matrix"
        )
    patterns: dict[str, Pattern] = {}
    reasons: list[tuple[Candidate, str]] = []
    for one in found:
        wanted = default or by_name.get(one.name)
        verdict: object = one.verdict
        if wanted is None:
            verdict = "not named in pattern"
        elif isinstance(verdict, Layout):
            weight = one.module.weight
            assert isinstance(weight, torch.Tensor)
            verdict = layout_of(one.module, weight, wanted.m)
        if wanted is not None and isinstance(verdict, Layout):
            patterns[one.name] = wanted
        reasons.append((one, str(verdict)))
    if not patterns:
        counts: dict[str, int] = {}
        for _, reason in reasons:
            counts[reason] = counts.get(reason, 0) + 1
        told = "; ".join(f"{count} left alone because {why}" for why, count in counts.items())
        raise ValueError(
            "no layer is selected, expected a Linear or Conv2d that the pattern fits: "
            f"{told or 'the model has no layer with a weight matrix'}"
        )
    return patterns, reasons


def _prune(
    model: nn.Module,
    calibration: Calibration,
    patterns: Mapping[str, Pattern],
    recipe: Recipe,
    residuals: Mapping[str, str] | None,
    announce: Progress,
) -> tuple[dict[str, PrunedLayer], dict[str, torch.Tensor], list[TunedBlock]]:
    """Prune the layers in the order of their calls; return them, the masks, and tuned blocks."""
    layers = {name: model.get_submodule(name) for name in patterns}
    geometries: dict[str, LayerMatrices] = {}
    for name, module in layers.items():
        geometry = layer_matrices_of(module)
        assert isinstance(geometry, LayerMatrices)
        geometries[name] = geometry
    groups, batch = execution_groups(model, calibration, layers)
    if residuals is None:
        wanted = recipe.sequential and recipe.residual
        residuals = find_residuals(model, calibration, batch, list(layers)) if wanted else {}
    chain = find_chain(model, calibration, batch, list(layers))
    ends = _ends_of_blocks(groups, chain) if recipe.tune_epochs else {}
    if "" in ends.values():
        whole = partial(calibration.forward, model, batch)
        check_tunable(model, layers, Run(whole, whole, calibration.rows(batch)), recipe.tune_norms)
    dense = dense_reference(model, _changing(model, layers, ends.values(), recipe))
    collector = Collector(
        dense,
        model,
        calibration,
        geometries,
        residuals,
        chain,
        recipe.sequential,
        tuned=bool(recipe.tune_epochs),
    )
    done: dict[str, PrunedLayer] = {}
    masks: dict[str, torch.Tensor] = {}
    tuned: list[TunedBlock] = []
    try:
        for index, group in enumerate(groups):
            for layer, mask in _prune_group(collector, group, patterns, recipe):
                done[layer.name] = layer
                masks[layer.name] = mask
                announce(layer, len(done), len(patterns))
            if index in ends:
                tuned.append(_tune(collector, ends[index], masks, recipe))
                announce(tuned[-1], len(done), len(patterns))
        if recipe.batch_norm and has_batch_norm(model):
            reestimate_batch_norm(model, calibration)
    except BaseException:
        model.load_state_dict(dense.state_dict())
        raise
    return done, masks, tuned


def _ends_of_blocks(groups: Sequence[Group], chain: BlockChain | None) -> dict[int, str]:
    """By index of the last group of layers in a block, the block.

    The whole model is one, if it is no chain or one of bare layers, in each of which least squares
    leaves nothing to tune.
    """
    inside = [None if chain is None else chain.block_of(group.names[0]) for group in groups]
    if chain is None or all(
        block is None or chain.blocks[block] == group.names[0]
        for block, group in zip(inside, groups, strict=True)
    ):
        return {len(groups) - 1: ""}
    return {
        index: chain.blocks[block]
        for index, block in enumerate(inside)
        if block is not None and block not in inside[index + 1 :]
    }


def _changing(
    model: nn.Module, layers: Mapping[str, nn.Module], blocks: Iterable[str], recipe: Recipe
) -> list[torch.Tensor]:
    """The parameters that pruning and tuning change."""
    found: list[torch.Tensor] = []
    for layer in layers.values():
        found += layer.parameters(recurse=False)
    for block in blocks:
        found += tunable_parameters(model, block, layers, recipe.tune_norms).values()
    return found


def _tune(
    collector: Collector, block: str, masks: Mapping[str, torch.Tensor], recipe: Recipe
) -> TunedBlock:
    return tune_block(
        collector.pruned,
        block,
        collector.runs(block),
        masks,
        epochs=recipe.tune_epochs,
        rate=recipe.tune_rate,
        norms=recipe.tune_norms,
    )


def _register(
    model: nn.Module, masks: Mapping[str, torch.Tensor], patterns: Mapping[str, Pattern]
) -> None:
    """Mask the transposable layers as `sparsify_` does."""
    for name, mask in masks.items():
        if patterns[name].transposable:
            module = model.get_submodule(name)
            layout = layout_of(module, _weight(module), patterns[name].m)
            assert isinstance(layout, Layout)
            register_mask(module, mask, Pattern(patterns[name].n, patterns[name].m), layout)


@torch.no_grad()
def _prune_group(
    collector: Collector, group: Group, patterns: Mapping[str, Pattern], recipe: Recipe
) -> list[tuple[PrunedLayer, torch.Tensor]]:
    """Prune the layers that share an input."""
    start = time.perf_counter()
    layers = {name: collector.pruned.get_submodule(name) for name in group.names}
    each = [collector.geometries[name].parameters(layers[name]) for name in group.names]
    matrices, biases = [weight for weight, _ in each], [bias for _, bias in each]
    problem = _problem(collector, group, torch.cat(matrices, 1), biases, recipe)
    if recipe.search == "admm":
        _ = problem.spectrum  # once for the whole group
    sample = collector.sample(group) if recipe.reconstruction == "adam" else None
    shared = (time.perf_counter() - start) / len(group.names)
    done = []
    at = 0
    for name, old, bias in zip(group.names, matrices, biases, strict=True):
        start = time.perf_counter()
        geometry = collector.geometries[name]
        here = slice(at, at + geometry.outputs)
        at += geometry.outputs
        own = problem.outputs(here)
        part = None if sample is None else sample.outputs(here)
        pruned = prune_matrices(own, geometry, patterns[name], recipe, bias=bias, sample=part)
        magnitude = old.abs()
        retained = (magnitude * pruned.mask).sum() / magnitude.sum().clamp_min(1e-300)
        _write(layers[name], geometry, pruned)
        layer = PrunedLayer(
            name=name,
            kind=type(layers[name]).__name__,
            shape=geometry.shape,
            pattern=str(patterns[name]),
            reason=None,
            error=own.relative_error(pruned.weight.double()) if recipe.needs_data else None,
            retained=float(retained),
            density=float(pruned.mask.float().mean()),
            seconds=shared + time.perf_counter() - start,
        )
        done.append((layer, geometry.weight(pruned.mask).contiguous()))
    return done


def _problem(
    collector: Collector,
    group: Group,
    dense: torch.Tensor,
    biases: list[torch.Tensor | None],
    recipe: Recipe,
) -> LayerLeastSquares:
    """The problem of the layers of a group, their outputs beside each other."""
    if not recipe.needs_data:
        return problem_without_data(dense)
    given = [bias for bias in biases if bias is not None]
    return layer_least_squares_of(
        collector.moments(group),
        dense,
        name=group.names[0],
        damping=recipe.damping,
        alpha=recipe.alpha if recipe.sequential else 1.0,
        bias=torch.cat(given, 1) if given else None,
        centre=bool(given) and recipe.bias,
    )


def _weight(module: nn.Module) -> torch.Tensor:
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    return weight.detach()


def _write(module: nn.Module, geometry: LayerMatrices, pruned: PrunedMatrices) -> None:
    weight = _weight(module)
    weight.copy_(geometry.weight(pruned.weight))
    if pruned.bias is not None:
        bias = module.bias
        assert isinstance(bias, torch.Tensor)
        bias.detach().copy_(pruned.bias.reshape(-1))
