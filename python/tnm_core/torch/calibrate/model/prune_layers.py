"""Pruning the layers of a model in the order of their calls, and tuning blocks in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import nn

from tnm_core.pattern import Pattern
from tnm_core.scale import Workers
from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.calibrate.batch_norm import BatchNormCorrection, correct_batch_norm_
from tnm_core.torch.calibrate.data import (
    BlockChain,
    Calibration,
    Collector,
    Group,
    PairedRuns,
    Products,
    Unpaired,
    execution_order,
    find_chain,
    find_residuals,
    layer_of,
)
from tnm_core.torch.calibrate.model.dense_reference import DenseFile, dense_reference
from tnm_core.torch.calibrate.model.distilling import check_distillable, distill_
from tnm_core.torch.calibrate.model.journal import Journal, PruneStep
from tnm_core.torch.calibrate.model.prune_group import (
    LayerAndMask,
    prune_group_,
    prune_groups_ahead_,
)
from tnm_core.torch.calibrate.model.prune_report import (
    Distillation,
    DistillStep,
    PrunedLayer,
    TunedBlock,
)
from tnm_core.torch.calibrate.model.tunable import tunable_parameters
from tnm_core.torch.calibrate.model.tuning import check_tunable, tune_block_
from tnm_core.torch.calibrate.solvers import Recipe

# Is told what was done, how many layers are, and how many there are.
Announce = Callable[[PrunedLayer | TunedBlock | DistillStep | Distillation, int, int], None]


@dataclass(frozen=True)
class PrunedLayers:
    """What was done so far: layers and their masks by name, and the blocks that were tuned.

    `skips` says why layers stay dense; `untuned` why blocks were not tuned;
    `batch_norm` what became of batch normalisations, if there are any; `distilled` holds what
    distilling has brought, once it is done.
    """

    layers: dict[str, PrunedLayer] = field(default_factory=dict)
    masks: dict[str, torch.Tensor] = field(default_factory=dict)
    blocks: list[TunedBlock] = field(default_factory=list)
    skips: dict[str, Skip] = field(default_factory=dict)
    untuned: dict[str, Skip] = field(default_factory=dict)
    batch_norm: BatchNormCorrection | None = None
    distilled: list[Distillation] = field(default_factory=list)

    def add(self, step: PruneStep) -> None:
        """Add what a step has done."""
        self.layers.update({layer.name: layer for layer in step.layers})
        self.masks.update(step.masks)
        self.blocks.extend(step.blocks)
        self.untuned.update(step.untuned)
        if step.distillation is not None:
            self.distilled.append(step.distillation)


def prune_layers_(
    model: nn.Module,
    calibration: Calibration,
    patterns: Mapping[str, Pattern],
    recipe: Recipe,
    residuals: Mapping[str, str] | None,
    announce: Announce,
    journal: Journal,
    products: Products,
    distilling: Calibration,
    workers: Workers,
) -> PrunedLayers:
    """Prune layers in the order of their calls; after an exception the model is as before.

    `distilling` is what to distill with, where the recipe does.
    """
    if recipe.distill_epochs:
        check_distillable(model, distilling, recipe.distill_loss)
    selected = {name: model.get_submodule(name) for name in patterns}
    order = execution_order(model, calibration, selected)
    groups, batch = order.groups, order.batch
    layers = {name: selected[name] for group in groups for name in group.names}
    if residuals is None:
        wanted = recipe.sequential and recipe.residual
        residuals = find_residuals(model, calibration, batch, list(layers)) if wanted else {}
    chain = find_chain(model, calibration, batch, list(layers))
    ends = _ends_of_blocks(groups, chain) if recipe.tune_epochs else {}
    if "" in ends.values():
        check_tunable(model, calibration, batch, layers, recipe.tune_norms)
    changing = _changing(model, layers, ends.values(), recipe)
    file = DenseFile(model, changing)
    dense = dense_reference(model, changing, file)
    products.watch(dense)
    one_stream = not (recipe.sequential or recipe.tune_epochs)
    runs = PairedRuns(dense, model, calibration, chain, one_stream=one_stream)
    collector = Collector(runs, residuals, recipe.sequential)
    done = PrunedLayers(skips=order.skips)
    steps: list[Callable[[], PruneStep]] = []
    for index, group in enumerate(groups):
        steps.append(partial(_prune_, collector, group, patterns, recipe, workers))
        if index in ends:
            steps.append(partial(_tune_, runs, ends[index], done.masks, recipe))
    made = _in_order(model, journal, steps)
    if workers.are_elsewhere and not (recipe.sequential or ends):
        made = _ahead(model, journal, collector, groups, patterns, recipe, workers)
    try:
        for step in made:
            for count, layer in enumerate(step.layers, len(done.layers) + 1):
                announce(layer, count, len(layers))
            done.add(step)
            file.release()
            for block in step.blocks:
                announce(block, len(done.layers), len(layers))
        if recipe.batch_norm:
            done = _correct_batch_norm_(model, dense, calibration, done)
        if recipe.distill_epochs:

            def tell(one: DistillStep) -> None:
                announce(one, len(done.layers), len(layers))

            make = partial(_distill_, dense, model, distilling, done.masks, recipe, tell)
            step = _kept_or_made(model, journal, len(steps), make)
            done.add(step)
            for one in done.distilled:
                announce(one, len(done.layers), len(layers))
    except BaseException:
        model.load_state_dict(dense.state_dict())
        raise
    return done


def _in_order(
    model: nn.Module, journal: Journal, steps: Sequence[Callable[[], PruneStep]]
) -> Iterator[PruneStep]:
    """Recall or make each step when those before it are done."""
    for number, make in enumerate(steps):
        yield _kept_or_made(model, journal, number, make)


def _ahead(
    model: nn.Module,
    journal: Journal,
    collector: Collector,
    groups: Sequence[Group],
    patterns: Mapping[str, Pattern],
    recipe: Recipe,
    workers: Workers,
) -> Iterator[PruneStep]:
    """Recall steps, then make the others: data of the next layers while workers are at these."""
    number = 0
    while number < len(groups) and (step := journal.recall(number)) is not None:
        step.write_(model)
        yield step
        number += 1
    missing = groups[number:]
    done = prune_groups_ahead_(collector, missing, patterns, recipe, workers)
    for group, pruned in zip(missing, done, strict=True):
        step = _step_of(collector, group, pruned)
        journal.keep(number, step)
        yield step
        number += 1


def _correct_batch_norm_(
    model: nn.Module, dense: nn.Module, calibration: Calibration, done: PrunedLayers
) -> PrunedLayers:
    corrected = correct_batch_norm_(model, dense, calibration.batches, forward=calibration.forward)
    told = corrected if corrected.norms or corrected.skips else None
    return replace(done, batch_norm=told)


def _kept_or_made(
    model: nn.Module, journal: Journal, number: int, make: Callable[[], PruneStep]
) -> PruneStep:
    kept = journal.recall(number)
    if kept is not None:
        kept.write_(model)
        return kept
    step = make()
    journal.keep(number, step)
    return step


def _prune_(
    collector: Collector,
    group: Group,
    patterns: Mapping[str, Pattern],
    recipe: Recipe,
    workers: Workers,
) -> PruneStep:
    return _step_of(collector, group, prune_group_(collector, group, patterns, recipe, workers))


def _step_of(collector: Collector, group: Group, pruned: Sequence[LayerAndMask]) -> PruneStep:
    masks = {layer.name: mask for layer, mask in pruned}
    changed = {
        f"{name}.{own}".removeprefix("."): parameter
        for name in group.names
        for own, parameter in layer_of(collector.runs.pruned, name).named_parameters(recurse=False)
    }
    return PruneStep(changed, tuple(layer for layer, _ in pruned), masks)


def _ends_of_blocks(groups: Sequence[Group], chain: BlockChain | None) -> dict[int, str]:
    """Return, by index of the last group of layers in a block, the block.

    The whole model is one, if it is no chain or one of bare layers, in each of which least squares
    leaves nothing to tune.
    """
    inside = [None if chain is None else chain.block_of(group.names[0]) for group in groups]
    pairs = zip(inside, groups, strict=True)
    if all(block is None or block == group.names[0] for block, group in pairs):
        return {len(groups) - 1: ""}
    return {
        index: block
        for index, block in enumerate(inside)
        if block is not None and block not in inside[index + 1 :]
    }


def _changing(
    model: nn.Module, layers: Mapping[str, nn.Module], blocks: Iterable[str], recipe: Recipe
) -> list[nn.Parameter]:
    """Return the parameters that pruning and tuning change."""
    found = [one for layer in layers.values() for one in layer.parameters(recurse=False)]
    for block in blocks:
        found += tunable_parameters(model, block, layers, recipe.tune_norms).values()
    return found


def _tune_(
    runs: PairedRuns, block: str, masks: Mapping[str, torch.Tensor], recipe: Recipe
) -> PruneStep:
    try:
        tuned = tune_block_(
            runs.pruned,
            block,
            runs.of_block(block) if block else runs.of_whole_model(),
            masks,
            epochs=recipe.tune_epochs,
            rate=recipe.tune_rate,
            norms=recipe.tune_norms,
        )
    except Unpaired as cause:
        return PruneStep({}, untuned={block: SkipCode.NOT_TUNED(step=str(cause))})
    changed = tunable_parameters(runs.pruned, block, masks, recipe.tune_norms)
    return PruneStep(changed, blocks=(tuned,))


def _distill_(
    dense: nn.Module,
    model: nn.Module,
    distilling: Calibration,
    masks: Mapping[str, torch.Tensor],
    recipe: Recipe,
    tell: Callable[[DistillStep], None],
) -> PruneStep:
    told = distill_(dense, model, distilling, masks, recipe, tell)
    changed = tunable_parameters(model, "", masks, norms=False) if told.kept else {}
    return PruneStep(changed, distillation=told)
