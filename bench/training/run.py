"""Training one arm of the study, and what is kept of it."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

import torch
from torch import nn

from bench.study.runs import Result
from bench.training.arms import HALF, Arm
from bench.training.recipes import TEACHER, begin, statistics_of
from bench.training.task import Rates, Task
from bench.training.teacher import Taught
from tnm_core.torch import MaskStatistics

CURVE_POINTS = 20
FLIP_POINTS = 60


def run(tasks: Mapping[str, Task], arm: Arm, seed: int) -> Result:
    """Train an arm from scratch and measure it on the way and at the end."""
    task = tasks[arm.task]
    steps = task.steps
    with _one_thread():
        if arm.recipe.endswith(TEACHER):
            task = Taught(task, _dense_model(task, seed))
        torch.manual_seed(seed)
        model = task.model(half=arm.pattern == HALF)
        optimizer = task.optimizer(model)
        owner = None if arm.is_dense else begin(task, arm, model, optimizer, steps)
        start = time.process_time()
        curve = list(_train(task, model, optimizer, seed, steps))
        seconds = time.process_time() - start
        model.eval()
        final = task.measure(model, whole=True)
    return {
        **asdict(arm),
        "seed": seed,
        "settings": str(tasks[arm.task]),
        "measure": final,
        "curve": curve,
        "flips": [] if owner is None else flips(statistics_of(owner)),
        "seconds": seconds,
    }


def _dense_model(task: Task, seed: int) -> nn.Module:
    """The model of the dense arm, trained."""
    torch.manual_seed(seed)
    model = task.model()
    for _ in _train(task, model, task.optimizer(model), seed, task.steps):
        pass
    return model.eval().requires_grad_(False)


def _train(
    task: Task, model: nn.Module, optimizer: torch.optim.Optimizer, seed: int, steps: int
) -> Iterator[tuple[int, float]]:
    """Train, and give the measure now and then."""
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share(step, steps, task))
    apart = max(1, steps // CURVE_POINTS)
    for step, batch in enumerate(task.batches(seed, steps), 1):
        optimizer.zero_grad()
        task.loss(model, batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), task.rates.clip)
        optimizer.step()
        schedule.step()
        if step % apart == 0:
            model.eval()
            yield step, task.measure(model, whole=False)
            model.train()


def share(step: int, steps: int, task: Task) -> float:
    """The learning rate at a step, as a share of the highest: a warm-up, then a cosine to zero."""
    rates: Rates = task.rates
    warm = rates.warm_up * steps
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def flips(records: list[MaskStatistics]) -> list[tuple[int, float, int]]:
    """Step, flip rate and SAD of all layers together, for a part of the refreshes."""
    # A record has no number of entries; where nothing flipped, another of its layer tells it.
    sizes = {one.layer: one.sad / one.flip_rate for one in records if one.sad}
    changed: Counter[int] = Counter()
    for one in records:
        changed[one.step] += one.sad
    entries = max(sum(sizes.values()), 1.0)
    steps = sorted(changed)[:: max(1, len(changed) // FLIP_POINTS)]
    return [(at, changed[at] / entries, changed[at]) for at in steps]


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
