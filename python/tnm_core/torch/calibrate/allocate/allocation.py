"""Which layer gets which pattern: an integer program per budget, from the layers' sensitivity."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import nn

from tnm_core.short_repr import short_repr
from tnm_core.torch.calibrate.allocate.sensitivity import DENSE, Sensitivity
from tnm_core.torch.calibrate.model import prune_model_
from tnm_core.torch.calibrate.solvers import Recipe

Cost = Literal["parameters", "multiply_adds"]
_Figures = np.ndarray[Any, np.dtype[np.float64]]  # shape (layers, patterns)


@dataclass(frozen=True)
class Assignment:
    """One pattern per layer.

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

    __repr__ = short_repr

    @property
    def sparse(self) -> dict[str, str]:
        """The layers that are not dense, as `prune_model_` takes them."""
        return {name: one for name, one in self.patterns.items() if one != DENSE}


def allocate(sensitivity: Sensitivity, budget: float, *, cost: Cost = "parameters") -> Assignment:
    """Choose one pattern per layer: least total loss within a budget, exactly.

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
    if cost not in ("parameters", "multiply_adds"):
        raise ValueError(f"cost is {cost!r}, expected 'parameters' or 'multiply_adds'")
    prices: _Figures = getattr(sensitivity, cost)
    share = prices / prices[:, 0].sum()
    least = float(np.where(np.isfinite(sensitivity.loss), share, np.inf).min(1).sum())
    if not budget >= least - 1e-12:
        raise ValueError(
            f"budget is {budget:g} of the dense {cost}, but no assignment needs less than "
            f"{least:g}; allow that much, or add sparser patterns"
        )
    chosen = _least_loss(sensitivity.loss, share, budget)
    every = np.arange(len(chosen))
    names = (sensitivity.patterns[index] for index in chosen)
    return Assignment(
        dict(zip(sensitivity.layers, names, strict=True)),
        float(sensitivity.loss[every, chosen].sum()),
        float(share[every, chosen].sum()),
    )


def _least_loss(loss: _Figures, share: _Figures, budget: float) -> np.ndarray[Any, np.dtype[Any]]:
    """Solve the knapsack: which pattern each layer gets; infinite losses are none to choose."""
    from scipy.optimize import Bounds, LinearConstraint, milp  # type: ignore[import-untyped]

    layers, patterns = loss.shape
    fits = np.isfinite(loss)
    one_each = np.kron(np.eye(layers), np.ones(patterns))
    scale = max(float(np.abs(loss[fits]).max()), 1e-300)
    solved = milp(
        np.where(fits, loss, 0.0).ravel() / scale,
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
    chosen: np.ndarray[Any, np.dtype[Any]] = solved.x.reshape(layers, patterns).argmax(1)
    return chosen


def pareto_front(
    sensitivity: Sensitivity, budgets: Iterable[float], *, cost: Cost = "parameters"
) -> list[Assignment]:
    """Return assignments of several budgets by rising cost, without those that another betters."""
    found = [allocate(sensitivity, budget, cost=cost) for budget in sorted(budgets)]
    front: list[Assignment] = []
    for one in sorted(found, key=lambda assignment: (assignment.cost, assignment.loss)):
        if not front or one.loss < front[-1].loss:
            front.append(one)
    return front


def check_additivity(
    model: nn.Module,
    assignments: Sequence[Assignment],
    batches: Iterable[Any],
    evaluate: Callable[[nn.Module], float],
    *,
    recipe: str | Recipe = "best",
    **options: Any,
) -> list[tuple[float, float]]:
    """Prune a copy of the model by each assignment, and measure.

    Parameters
    ----------
    model, batches, recipe, **options
        As `prune_model_` takes them.
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
        if assignment.sparse:
            prune_model_(pruned, batches, assignment.sparse, recipe, **options)
        measured.append((assignment.loss, evaluate(pruned) - before))
    return measured
