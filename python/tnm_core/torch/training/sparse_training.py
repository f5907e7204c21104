"""Sparse training in one line: layers, recipe and phases chosen, and told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import nn

from tnm_core.arguments import Method
from tnm_core.pattern import Pattern, PatternLike, as_pattern
from tnm_core.selection import Names
from tnm_core.torch.layers import (
    ScoreLike,
    SparsifyReport,
    drop_masks_,
    masked_weights,
    sparsify_,
)
from tnm_core.torch.tensors import check_followable, unwrap_optimizer
from tnm_core.torch.training.adaptive import is_adaptive
from tnm_core.torch.training.dynamic_mask import DynamicMask, at_least
from tnm_core.torch.training.hooks import MaskOwner
from tnm_core.torch.training.mask_statistics import MaskStatistics
from tnm_core.torch.training.sr_ste import SRSTE
from tnm_core.torch.training.static_mask import StaticMask

Recipe = Literal["auto", "fading", "late_static", "static", "sr_ste"]
Phase = Literal["dense", "fading", "straight_through", "masked"]

# Shares of the steps at which something begins.
_FADING_FROM, _FADING_UNTIL = 0.1, 0.6
_STATIC_FROM = 0.6
# Masks that are found so often while weights fade lose nothing against masks at every step.
_REFRESHES = 500
_DECAY = 2e-4
# Of the same share a step at a learning rate of 1e-3 as the other at 0.1.
_DECOUPLED_DECAY = 2e-2


class SparseTraining:
    """What `train_sparse_` set up: save and resume it, and read from it what the masks do.

    Attributes
    ----------
    recipe : str
        The recipe that was taken.
    pattern : str
        What the masks obey.
    total_steps : int
        Optimizer steps of the whole training.
    report : SparsifyReport or None
        Which layers were made sparse, and why others were not; None if the model had masks.
    masks : DynamicMask or StaticMask
        What finds and applies the masks.
    decay : SRSTE or None
        What shrinks pruned weights, with the recipe ``"sr_ste"``.
    """

    def __init__(
        self,
        recipe: Recipe,
        total_steps: int,
        report: SparsifyReport | None,
        masks: MaskOwner,
        decay: SRSTE | None,
        pattern: Pattern,
    ) -> None:
        self.recipe, self.total_steps, self.report = recipe, total_steps, report
        self.masks, self.decay = masks, decay
        self.pattern = str(pattern)
        self._layers = masks.layers

    @property
    def steps(self) -> int:
        """Optimizer steps so far."""
        return self.masks.steps

    @property
    def layers(self) -> list[str]:
        """Names of the sparse layers; once detached, of those that there were."""
        if self.masks.is_attached:
            self._layers = self.masks.layers
        return list(self._layers)

    @property
    def phase(self) -> Phase:
        """What layers see now: all weights, fading ones, or masked ones.

        Where masked, gradients pass straight on to pruned weights or not.
        """
        return self.masks.mode_at(self.steps)[0]

    @property
    def statistics(self) -> list[MaskStatistics]:
        """One record per layer and refresh of the masks."""
        return self.masks.statistics if isinstance(self.masks, DynamicMask) else []

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold beside the state of the model and the optimizer."""
        state = {"recipe": self.recipe, "total_steps": self.total_steps}
        decay = {} if self.decay is None else {"decay": self.decay.state_dict()}
        return {**state, "masks": self.masks.state_dict(), **decay}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken; load the state of the model as well.

        Raises
        ------
        ValueError
            If that was another recipe, or of another length.
        """
        for name in ("recipe", "total_steps"):
            found, expected = state.get(name), getattr(self, name)
            if found != expected:
                raise ValueError(
                    f"state of a sparse training has {name} {found!r}, expected {expected!r}; "
                    f"call train_sparse_ with {name}={found!r}"
                )
        self.masks.load_state_dict(state["masks"])
        if self.decay is not None:
            self.decay.load_state_dict(state["decay"])

    def detach(self) -> None:
        """Leave the optimizer; the model keeps its masks, and is masked from now on."""
        self._layers = self.layers
        if self.decay is not None:
            self.decay.detach()
        self.masks.detach()

    def __repr__(self) -> str:
        return f"SparseTraining({str(self)!r})"

    def __str__(self) -> str:
        count = len(self.layers)
        left = 0 if self.report is None else len(self.report.skipped)
        dense = f" ({left} left dense)" if left else ""
        layers = "1 layer" if count == 1 else f"{count} layers"
        return f"{self.pattern} on {layers}{dense}, {self.recipe}: {self._plan()}"

    def _plan(self) -> str:
        masks, last = self.masks, f"fixed until step {self.total_steps}"
        if not isinstance(masks, DynamicMask):
            return f"masks {last}"
        end = ""
        if masks.dense_from is not None:
            last = f"fixed until step {masks.dense_from}"
            end = f", then dense until step {self.total_steps}"
        every = "every step" if masks.every == 1 else f"every {masks.every} steps"
        if self.decay is not None:
            return f"masks found anew {every}, {self.decay.form} decay of {self.decay.decay:g}{end}"
        if masks.fade_until is None:
            return f"dense until step {masks.dense_until}, then masks {last}{end}"
        return (
            f"dense until step {masks.dense_until}, pruned weights fade out until step "
            f"{masks.fade_until} with masks found anew {every}, then masks {last}{end}"
        )


def train_sparse_(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    pattern: PatternLike = "2:4",
    *,
    total_steps: int,
    recipe: Recipe = "auto",
    dense_from: int | None = None,
    include: Names | None = None,
    exclude: Names | None = None,
    score: ScoreLike = "abs",
    method: Method = "optimal",
    threads: int | None = None,
) -> SparseTraining:
    """Make a model train with masks: choose layers, recipe and phases, and follow the optimizer.

    Nothing else of the training loop changes. ``print`` what is returned to see what was chosen.

    Parameters
    ----------
    model : torch.nn.Module
        Its layers are made sparse in place, as by `sparsify_`; one that has masks keeps them.
    optimizer : torch.optim.Optimizer
        Of the model's parameters; also as accelerate or Lightning wrap it.
    pattern : str, pair of int, or Pattern
        ``"2:4"``: 2 of 4 are kept along rows and columns. A larger tile such as ``"8:16"`` or
        ``"16:32"`` loses less. ``"row 2:4"``: along the inputs of each output alone.
    total_steps : int
        Optimizer steps of the whole training; the phases are shares of it.
    recipe : {"auto", "fading", "late_static", "static", "sr_ste"}
        ``"fading"``: dense for a tenth of the steps; until six tenths are done pruned weights
        count less and less, while masks follow the weights; then masks are fixed.
        ``"late_static"``: dense for three fifths, then fixed masks. ``"static"``: fixed masks from
        the first step. ``"sr_ste"``: masks found anew at every step, gradients that pass straight
        through, and decay of pruned weights, as in the paper. By default ``"fading"``, or
        ``"static"`` for a model that has masks, such as one that `prune_model_` calibrated.
    dense_from : int, optional
        From this step on nothing is pruned, for a model that is trained sparse but used dense;
        `dense_state_dict` returns its weights then, whereas `SparseTraining.detach` and
        `remove_sparsity_` prune it again, with a warning. Four fifths of the steps are usual. Not
        with fixed masks (``"static"``).
    include, exclude, score, method, threads
        As in `sparsify_`.

    Returns
    -------
    SparseTraining
        To be saved, resumed and read from.

    Raises
    ------
    TypeError, ValueError
        As `sparsify_` and `DynamicMask.attach`. The model is unchanged then.

    Notes
    -----
    Measured choices: `docs/training.md` has the recipes side by side.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import train_sparse_
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(),
    ...                             torch.nn.Linear(32, 3))
    >>> optimizer = torch.optim.AdamW(model.parameters())
    >>> training = train_sparse_(model, optimizer, "2:4", total_steps=10)
    >>> print(training)  # doctest: +NORMALIZE_WHITESPACE
    2:4 on 1 layer (1 left dense), fading: dense until step 1, pruned weights fade out until step 6
    with masks found anew every step, then masks fixed until step 10
    >>> for _ in range(10):
    ...     optimizer.zero_grad()
    ...     model(torch.randn(16, 64)).square().mean().backward()
    ...     optimizer.step()
    >>> training.phase
    'masked'
    """
    total = at_least("total_steps", total_steps, 2)
    if recipe not in get_args(Recipe):
        raise ValueError(f"recipe is {recipe!r}, expected one of {', '.join(get_args(Recipe))}")
    followed = unwrap_optimizer(optimizer)
    check_followable(followed)
    wanted, report = as_pattern(pattern), None
    had_masks = _has_masks(model, wanted)
    if recipe == "auto":
        recipe = "static" if had_masks else "fading"
    masks, decay = _parts(
        recipe, total, followed,
        dense_from=dense_from, score=score, method=method, threads=threads,
    )  # fmt: skip
    if not had_masks:
        report = sparsify_(
            model,
            wanted,
            include=include,
            exclude=exclude,
            score=score,
            method=method,
            threads=threads,
        )
    try:
        masks.attach(model, followed)
        if decay is not None:
            decay.attach(model, followed)
    except BaseException:
        if masks.is_attached:
            masks.detach()
        if not had_masks:
            drop_masks_(model)
        raise
    return SparseTraining(recipe, total, report, masks, decay, wanted)


def _has_masks(model: nn.Module, wanted: Pattern) -> bool:
    """Tell whether a model has masks already, and refuse others than those that are wanted."""
    weights = list(masked_weights(model)) if isinstance(model, nn.Module) else []
    for weight in weights:
        if weight.pattern != wanted:
            raise ValueError(
                f"layer {weight.name!r} is {weight.pattern} sparse already, expected {wanted} or "
                f"no mask; pass pattern={str(weight.pattern)!r}, or attach a StaticMask or "
                "DynamicMask yourself where layers differ"
            )
    return bool(weights)


def _parts(
    recipe: Recipe, total: int, optimizer: torch.optim.Optimizer, **options: Any
) -> tuple[MaskOwner, SRSTE | None]:
    """Make what finds the masks, and what shrinks pruned weights."""
    dense_from = options["dense_from"]
    if dense_from is not None and at_least("dense_from", dense_from, 1) >= total:
        raise ValueError(f"dense_from is {dense_from}, expected less than total_steps, {total}")
    if recipe == "static":
        if dense_from is not None:
            raise ValueError(
                f"dense_from is {dense_from}, expected none with fixed masks; choose the recipe "
                "'fading', or call remove_sparsity_ at that step"
            )
        return StaticMask(), None
    if recipe == "late_static":
        begin = round(_STATIC_FROM * total)
        return DynamicMask(every=total, dense_until=begin, freeze_from=begin, **options), None
    if recipe == "sr_ste":
        decay = (
            SRSTE(_DECOUPLED_DECAY, form="decoupled") if is_adaptive(optimizer) else SRSTE(_DECAY)
        )
        return DynamicMask(every=1, **options), decay
    every = max(1, round((_FADING_UNTIL - _FADING_FROM) * total / _REFRESHES))
    masks = DynamicMask.fading(
        total, warm=_FADING_FROM, until=_FADING_UNTIL, every=every, **options
    )
    return masks, None
