"""Seconds of a training by its phases, from what single steps and refreshes cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.training.arms import ENDS_DENSE, TAUGHT, Arm
from bench.training.recipes import DENSE_FROM, EVERY
from bench.training.step_costs import StepCost

FADING = ("fading", TAUGHT, ENDS_DENSE)


@dataclass(frozen=True)
class Phases:
    """Until which shares of a training nothing is pruned, masks are sought and used; how often."""

    dense_until: float
    sought_until: float
    refreshes_per_step: float
    sparse_until: float = 1.0


def phases_of(arm: Arm, steps: int) -> Phases:
    """What the recipe does: the phases of `train_sparse_`."""
    if arm.recipe in FADING:
        until = DENSE_FROM if arm.recipe == ENDS_DENSE else 1.0
        return Phases(0.1, 0.6, min(1.0, 500 / (0.5 * steps)), until)
    if arm.recipe == "late_static":
        return Phases(0.6, 0.6, 0.0)
    if arm.recipe == "sr_ste":
        return Phases(0.0, 1.0, 1.0)
    told = EVERY.fullmatch(arm.recipe)
    if told is not None:
        return Phases(0.0, 1.0, 1 / int(told[1]))
    return Phases(0.0, 0.0, 0.0)


def seconds_at(arm: Arm, cost: StepCost, steps: int, step: int) -> float:
    """Seconds until a step is done, with sparse products as soon as masks are fixed.

    Pruned weights that fade out take a dense product. Straight-through estimation does not: its
    masked weight has sparse products at once.
    """
    phases = phases_of(arm, steps)
    dense = min(step, phases.dense_until * steps)
    sought = min(step, phases.sought_until * steps) - dense
    fixed = min(step, phases.sparse_until * steps) - dense - sought
    dense += max(0.0, step - phases.sparse_until * steps)
    product = cost.masked if cost.products is None else min(cost.masked, cost.products)
    seeking = cost.masked if arm.recipe in FADING else product
    refresh = cost.refresh[arm.method] * phases.refreshes_per_step
    return dense * cost.dense + sought * (seeking + refresh) + fixed * product


def time_of_dense(arm: Arm, costs: Mapping[tuple[str, str], StepCost], steps: int) -> float | None:
    """How long a training takes, times the dense one; None where nothing was timed.

    With a teacher that includes its training, and its answers, a third of a dense step.
    """
    cost = costs.get((arm.task, arm.pattern))
    if cost is None:
        return None
    teaching = 4 / 3 if arm.recipe == TAUGHT else 0.0
    return teaching + seconds_at(arm, cost, steps, steps) / (steps * cost.dense)
