"""Pruning a model after training, with calibration data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from tnm_core.pattern import PatternLike
from tnm_core.scale import ExecutorLike, workers_of
from tnm_core.selection import Names, Selection, as_selection
from tnm_core.skip import Skip
from tnm_core.torch.calibrate.data import Calibration, evaluating, standing_in
from tnm_core.torch.calibrate.model.journal import Journal, NoJournal
from tnm_core.torch.calibrate.model.layer_plan import PlannedLayer, plan_layers
from tnm_core.torch.calibrate.model.prune_layers import Announce, prune_layers_
from tnm_core.torch.calibrate.model.prune_report import (
    PrunedLayer,
    PruneReport,
    announcer,
    progress_line,
)
from tnm_core.torch.calibrate.model.stacks import MatrixStack
from tnm_core.torch.calibrate.solvers import Recipe, recipe_of
from tnm_core.torch.layers import Candidate, register_mask, unwrap


# What is made under inference mode, masks included, could never be trained.
@torch.inference_mode(False)
def prune_model_(
    model: nn.Module,
    batches: Iterable[Any],
    pattern: PatternLike | Mapping[str, PatternLike] = "2:4",
    recipe: str | Recipe = "best",
    *,
    include: Names | Selection | None = None,
    exclude: Names | None = None,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    rows: Callable[[Any], torch.Tensor | None] | None = None,
    residuals: Mapping[str, str] | None = None,
    progress: bool | Announce = False,
    journal: Journal | None = None,
    distill_batches: Iterable[Any] | None = None,
    executor: ExecutorLike | None = None,
) -> PruneReport:
    """Prune a trained model with calibration data, in place: masks, and the best weights on them.

    Layers are masked as by `sparsify_`, with transposable patterns and row-wise ones, so that
    `masks`, `StaticMask`, `train_sparse_` and `remove_sparsity_` work on the result.

    Parameters
    ----------
    model : torch.nn.Module
        Its Linear and Conv2d layers are pruned, in place, and the weights of experts in one tensor
        and of transformers' ``Conv1D``; it runs in evaluation mode.
    batches : iterable of batches
        A list of batches or a DataLoader: read several times. Labels are not needed; a few hundred
        samples like those that the model will meet.
    pattern : str, pair of int, Pattern, or mapping of those by layer name
        ``"2:4"`` is transposable, ``"row 2:4"`` row-wise. Layers that a mapping does not name stay
        dense.
    recipe : str or Recipe
        One of ``"best"``, ``"distilled"``, ``"tuned"``, ``"sparsegpt"``, ``"sequential"``,
        ``"least_squares"``, ``"adaprune"``, ``"wanda"``, ``"magnitude"``. ``"best"``: ADMM masks,
        least squares, layers in order; ``"tuned"``: then Adam on each block, with the masks fixed;
        ``"distilled"``: ``"best"``, then Adam on the whole model, towards the dense outputs.
    include, exclude : str, sequence of str, or function, optional
        Which layers are meant, as in `sparsify_`; or a `Selection` as `include` alone.
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
        True prints a line per layer on standard error; a function gets each `PrunedLayer`, how many
        layers are done, and how many there are. Where the recipe tunes, each `TunedBlock`, and
        where it distills, each `DistillStep` and the `Distillation`, too.
        Matrices of one tensor count on their own, as ``experts.down_proj_matrix.3``.
    journal : Journal, optional
        Keeps what each step has done (`tnm_core.torch.calibrate.Journal`: two methods), so that a
        later call with the same model, batches and arguments goes on where this one ended.
    distill_batches : iterable of batches, optional
        What a recipe that distills learns from, one batch a step, in their order: kinds of data
        should be mixed. The more there are and the more unlike each other, the better: ten times
        the calibration data, if there is time. Read once to count them, and once an epoch. By
        default `batches`.
    executor : Executor, function that makes one, Workers, or None
        Where layers are solved (`tnm_core.scale.Workers`), on the CPU; the model runs here. Layers
        that share an input are independent of each other. With a recipe that is not sequential all
        layers are, and the next ones run here meanwhile. A layer's problem goes to a worker, twelve
        bytes for each entry of its Hessian and 16 for each of its weights; mask and weights come
        back. Workers use as many threads as torch does here, and the same results come out if
        their processors are the same.

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
        If no layer is selected, the data reach none of them, or a selected layer meets NaN or
        infinite values (the message names it), or layers share an input for some batches only.
        The model is unchanged then.

    Warns
    -----
    RankDeficientWarning
        If a layer sees fewer rows than it has columns, or constant inputs.

    Notes
    -----
    A layer that no row of the data reaches stays dense, and the report says so: an expert without
    tokens, or a layer whose weight other code reads (`torch.nn.MultiheadAttention.out_proj`). Of
    a Conv2d with a forward of its own, its calls of `torch.nn.functional.conv2d` with its weight
    and bias count, not what it does before and afterwards; without such calls it stays dense, too,
    as does a Linear whose own forward multiplies by something else than its weight.

    Recipes that go in order compare rows of both models. What the dense model decides about its
    rows (an order, the expert of a token) is therefore repeated in the pruned one while it is
    calibrated, and both draw the same random numbers. Where the pruned model takes another way
    through its code nevertheless, layers are pruned on the dense model's inputs (`remark` of the
    `PrunedLayer`), and blocks not tuned (`untuned` of the report).

    Memory beside the model: the masks, the dense values of the layers that are pruned (what does
    not change, such as embeddings, is not copied; from 64 MiB on they lie in a temporary file, and
    those of the block that runs are in memory), the statistics of layers that share an input, and,
    where the model is a chain of blocks, the activations between two blocks for all calibration
    data (so that each block runs alone). Models that are no chain run from their start for each
    group of layers. Tuning adds six times the parameters of a block, its outputs for all data, and
    what backpropagation keeps for one batch. Distilling adds three times the parameters of the
    layers that are pruned, what backpropagation keeps for one batch of the whole model, and its
    outputs a few times; so let those batches be small.

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
    distilling = calibration
    if distill_batches is not None:
        distilling = Calibration(distill_batches, forward, rows, name="distill_batches")
        if not chosen.distill_epochs:
            raise ValueError(
                "distill_batches are given, but the recipe does not distill; expected "
                "recipe='distilled', or another one with distill_epochs"
            )
    announce = announcer(progress, progress_line)
    decided = plan_layers(model, pattern, as_selection(include, exclude))
    planned = {
        one.name: (one, decision) for one, decision in decided if isinstance(decision, PlannedLayer)
    }
    others = {
        name: (one.module, one.parameter_name, decision.axes.input_axis)
        for name, (one, decision) in planned.items()
        if not decision.is_layer
    }
    model = unwrap(model)
    with (
        evaluating(model),
        standing_in(model, others) as (parts, products),
        workers_of(executor, ahead=1) as workers,
    ):
        stacks = {name: MatrixStack.of(*planned[name], parts[name]) for name in others}
        patterns = {
            part: decision.pattern
            for name, (_, decision) in planned.items()
            for part in parts.get(name, (name,))
        }
        done = prune_layers_(
            model,
            calibration,
            patterns,
            chosen,
            residuals,
            announce,
            journal or NoJournal(),
            products,
            distilling,
            workers,
        )
    layers, masks = dict(done.layers), dict(done.masks)
    for name, stack in stacks.items():
        layers[name], masks[name] = stack.result(done, chosen.needs_data)
    for name, (one, decision) in planned.items():
        if name in layers and layers[name].skip is None:
            register_mask(
                one.module,
                masks[name],
                decision.pattern,
                decision.axes,
                one.parameter_name,
                layer_name=name,
            )
    return PruneReport(
        recipe if isinstance(recipe, str) else "a Recipe",
        tuple(_told(one, decision, layers, done.skips) for one, decision in decided),
        tuple(done.blocks),
        done.untuned,
        done.batch_norm,
        done.distilled[0] if done.distilled else None,
    )


def _told(
    one: Candidate,
    decision: PlannedLayer | Skip,
    layers: Mapping[str, PrunedLayer],
    skips: Mapping[str, Skip],
) -> PrunedLayer:
    if isinstance(decision, PlannedLayer) and one.name in layers:
        return layers[one.name]
    skip = decision if isinstance(decision, Skip) else skips[one.name]
    return PrunedLayer(one.name, one.kind, one.shape, skip=skip)
