"""Which layer gets which pattern: sensitivity of each layer, then an integer program per budget."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from tnm_core.torch._layers import Layout, layout_of
from tnm_core.torch._masked_weights import unwrap
from tnm_core.torch.calibrate.geometry import Geometry, geometry_of, parse_layer_pattern
from tnm_core.torch.calibrate.layer import prune_matrices
from tnm_core.torch.calibrate.prune import prune_model
from tnm_core.torch.calibrate.quadratic import quadratic_of
from tnm_core.torch.calibrate.recipe import Recipe, recipe_of
from tnm_core.torch.calibrate.statistics import Statistics

__all__ = ["Assignment", "Sensitivity", "allocate", "check_additivity", "pareto_front",
           "sensitivity_scan"]  # fmt: skip

Cost = Literal["parameters", "multiply_adds"]
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


@dataclass(frozen=True)
class Assignment:
    """One pattern a layer.

    Attributes
    ----------
    patterns : dict of str to str
        By layer; ``"dense"`` included.
    loss : float
        Sum of the layers' losses.
    cost : float
        Share of the dense cost.
    """

    patterns: dict[str, str]
    loss: float
    cost: float

    @property
    def sparse(self) -> dict[str, str]:
        """The layers that are not dense, as `prune_model` takes them."""
        return {name: one for name, one in self.patterns.items() if one != DENSE}


def sensitivity_scan(
    model: nn.Module,
    statistics: Statistics,
    patterns: Sequence[str],
    *,
    recipe: str | Recipe = "least_squares",
    evaluate: Callable[[nn.Module], float] | None = None,
) -> Sensitivity:
    """Prune one layer at a time, each with every pattern, and say what is lost.

    Parameters
    ----------
    model : torch.nn.Module
        Dense; as before afterwards.
    statistics : Statistics
        Of its layers; those in it are scanned.
    patterns : sequence of str
        Such as ``["2:4", "4:8", "row 2:4"]``; ``"dense"`` is added.
    recipe : str or Recipe
        One that needs no data but the statistics.
    evaluate : function of model, optional
        The loss of the model, such as that on held-out data. A layer's loss is how much it rises.
        By default the squared error of the layer's outputs over their variance.

    Returns
    -------
    Sensitivity
        With a row for each layer, in the order of the statistics.

    Raises
    ------
    ValueError
        If there is no pattern or layer, or the recipe reconstructs by Adam.
    """
    chosen = recipe_of(recipe)
    if chosen.reconstruction == "adam":
        raise ValueError("recipe reconstructs by Adam, expected one that statistics suffice for")
    wanted = [parse_layer_pattern(one) for one in patterns if one != DENSE]
    if not wanted or not statistics.layers:
        raise ValueError(
            f"there are {len(wanted)} patterns and {len(statistics.layers)} layers, expected some"
        )
    model = unwrap(model)
    names = tuple(statistics.layers)
    loss = np.zeros((len(names), 1 + len(wanted)))
    share = np.ones((1, 1 + len(wanted)))
    share[0, 1:] = [one.density for one in wanted]
    before = evaluate(model) if evaluate is not None else 0.0
    for row, name in enumerate(names):
        module = model.get_submodule(name)
        geometry = geometry_of(module)
        assert isinstance(geometry, Geometry)
        weight, bias = _parameters(module)
        given = None if bias is None else bias.reshape(geometry.groups, -1)
        problem = quadratic_of(
            statistics.layers[name], geometry.matrices(weight), name=name, damping=chosen.damping,
            bias=given, centre=given is not None and chosen.bias,
        )  # fmt: skip
        for column, pattern in enumerate(wanted, 1):
            if not isinstance(layout_of(module, weight, pattern.m), Layout):
                loss[row, column] = np.inf
                continue
            pruned = prune_matrices(problem, geometry, pattern, chosen, bias=given)
            if evaluate is None:
                loss[row, column] = problem.relative_error(pruned.weight.double())
                continue
            new = None if pruned.bias is None else pruned.bias.reshape(-1)
            replaced = (geometry.weight(pruned.weight), new)
            loss[row, column] = _loss_with(model, module, replaced, evaluate) - before
    sizes = [model.get_submodule(name).weight.numel() for name in names]  # type: ignore[operator]
    parameters = np.array(sizes, float)[:, None] * share
    rows = np.array([float(one.count) for one in statistics.layers.values()])
    return Sensitivity(
        names, (DENSE, *map(str, wanted)), loss, parameters, parameters * rows[:, None]
    )


def allocate(sensitivity: Sensitivity, budget: float, *, cost: Cost = "parameters") -> Assignment:
    """Choose one pattern a layer: least total loss within a budget, exactly.

    A multiple-choice knapsack, as in CalibTIP (Hubara et al., arXiv 2006.10518), solved by scipy's
    HiGHS. That losses add up is an assumption: see `check_additivity`.

    Parameters
    ----------
    sensitivity : Sensitivity
        What `sensitivity_scan` found.
    budget : float
        Share of the dense cost, in (0, 1].
    cost : {"parameters", "multiply_adds"}
        What the budget limits.

    Raises
    ------
    ValueError
        If no assignment meets the budget; the message says the least that can be had.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp  # type: ignore[import-untyped]

    if cost not in ("parameters", "multiply_adds"):
        raise ValueError(f"cost is {cost!r}, expected 'parameters' or 'multiply_adds'")
    prices: np.ndarray[Any, np.dtype[np.float64]] = getattr(sensitivity, cost)
    total = prices[:, 0].sum()
    share = prices / total
    fits = np.isfinite(sensitivity.loss)
    least = float(np.where(fits, share, np.inf).min(1).sum())
    if not budget >= least - 1e-12:
        raise ValueError(
            f"budget is {budget:g} of the dense {cost}, but no assignment needs less than "
            f"{least:g}; allow that much, or add sparser patterns"
        )
    layers, patterns = sensitivity.loss.shape
    one_each = np.kron(np.eye(layers), np.ones(patterns))
    scale = max(float(np.abs(sensitivity.loss[fits]).max()), 1e-300)
    solved = milp(
        np.where(fits, sensitivity.loss, 0.0).ravel() / scale,
        constraints=[
            LinearConstraint(one_each, 1, 1),
            LinearConstraint(share.ravel()[None], -np.inf, budget + 1e-12),
        ],
        bounds=Bounds(0, fits.ravel().astype(float)),
        integrality=np.ones(layers * patterns),
        options={"mip_rel_gap": 0.0},
    )
    if solved.x is None:
        raise ValueError(f"no assignment found for budget {budget:g}: {solved.message}")
    chosen = solved.x.reshape(layers, patterns).argmax(1)
    every = np.arange(layers)
    return Assignment(
        {
            name: sensitivity.patterns[index]
            for name, index in zip(sensitivity.layers, chosen, strict=True)
        },
        float(sensitivity.loss[every, chosen].sum()),
        float(share[every, chosen].sum()),
    )


def pareto_front(
    sensitivity: Sensitivity, budgets: Iterable[float], *, cost: Cost = "parameters"
) -> list[Assignment]:
    """Assignments of several budgets, without those that another betters, by rising cost."""
    found = [allocate(sensitivity, budget, cost=cost) for budget in sorted(budgets)]
    front: list[Assignment] = []
    for one in sorted(found, key=lambda assignment: (assignment.cost, assignment.loss)):
        if not front or one.loss < front[-1].loss:
            front.append(one)
    return front


def check_additivity(
    model: nn.Module,
    assignments: Sequence[Assignment],
    calibration_loader: Iterable[Any],
    evaluate: Callable[[nn.Module], float],
    *,
    recipe: str | Recipe = "best",
    **options: Any,
) -> list[tuple[float, float]]:
    """Prune a copy of the model by each assignment, and measure.

    Parameters
    ----------
    model, calibration_loader, recipe, **options
        As `prune_model` takes them.
    assignments : sequence of Assignment
        Which to check.
    evaluate : function of model
        The loss of the model.

    Returns
    -------
    list of pair of float
        Of each assignment, the predicted loss, and by how much the model's loss really rises.
    """
    before = evaluate(model)
    measured = []
    for assignment in assignments:
        pruned = copy.deepcopy(model)
        patterns: Mapping[str, Any] = assignment.sparse
        if patterns:
            prune_model(pruned, calibration_loader, patterns, recipe, **options)
        measured.append((assignment.loss, evaluate(pruned) - before))
    return measured


def _parameters(module: nn.Module) -> tuple[torch.Tensor, torch.Tensor | None]:
    weight, bias = module.weight, getattr(module, "bias", None)
    assert isinstance(weight, torch.Tensor)
    return weight.detach(), None if bias is None else bias.detach()


@torch.no_grad()
def _loss_with(
    model: nn.Module,
    module: nn.Module,
    replaced: tuple[torch.Tensor, torch.Tensor | None],
    evaluate: Callable[[nn.Module], float],
) -> float:
    """The loss of the model while a layer has other weights."""
    own = _parameters(module)
    saved = [None if one is None else one.clone() for one in own]
    try:
        for one, new in zip(own, replaced, strict=True):
            if one is not None and new is not None:
                one.copy_(new)
        return evaluate(model)
    finally:
        for one, old in zip(own, saved, strict=True):
            if one is not None and old is not None:
                one.copy_(old)
