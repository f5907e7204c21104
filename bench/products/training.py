"""A training step, dense and sparse in turns: forward, backward, optimizer, repacking."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bench.context import Context, Record
from bench.products.rounds import time_in_turns
from bench.products.training_models import MODELS, TrainedModel
from tnm_core.torch import (
    RowWiseLinear,
    TransposableLinear,
    nm_mask,
    repack_,
    repack_after_step,
    to_sparse_linear_,
    transposable_mask,
)

PATTERNS = ("2:4", "16:32", "1:4", "row 2:4")
TOKENS = (512, 2048)
BACKEND = "cpu"
CHECKED_TOKENS = 128
# Of the largest output: float32 through a few layers, against float64.
TOLERANCE = 1e-4
Step = Callable[[], None]


@dataclass(frozen=True)
class Learner:
    """One model with its optimizer; dense where there is no pattern."""

    pattern: str | None
    model: nn.Module
    optimizer: torch.optim.Optimizer

    def step(self, inputs: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        self.model(inputs).square().mean().backward()
        self.optimizer.step()

    def refresh(self) -> None:
        """Search masks anew, and pack for them."""
        for layer in _sparse_layers(self.model):
            find = transposable_mask if layer.pattern.transposable else nm_mask
            layer.set_mask(find(layer.weight, layer.n, layer.m), validate=False)


def measure_training(context: Context) -> list[Record]:
    """Give a record for each model, number of tokens and pattern."""
    models = list(MODELS)[:1] if context.quick else list(MODELS)
    tokens = TOKENS[:1] if context.quick else TOKENS
    records = []
    for name in models:
        learners = [learner(MODELS[name], pattern, BACKEND) for pattern in (None, *PATTERNS)]
        for count in tokens:
            records += compare(name, MODELS[name], learners, count, context.seconds)
    return records


def learner(kind: TrainedModel, pattern: str | None, backend: Any) -> Learner:
    """Make a model, the same one for every pattern, its weights pruned if there is one."""
    torch.manual_seed(0)
    model = kind.build()
    if pattern is not None:
        to_sparse_linear_(model, pattern, backend=backend)
    optimizer = kind.optimizer(model.parameters())
    if pattern is not None:
        repack_after_step(optimizer, model)
    return Learner(pattern, model, optimizer)


def compare(
    name: str, kind: TrainedModel, learners: list[Learner], tokens: int, seconds: float
) -> list[Record]:
    """Check all learners, then time their steps, their repacking and their refreshes in turns."""
    inputs = kind.draw(tokens)
    complaints = [disagreement(one.model, kind, inputs) for one in learners]
    steps: list[Step] = [lambda one=one: one.step(inputs) for one in learners]  # type: ignore[misc]
    repacks: list[Step] = [lambda one=one: repack_(one.model) for one in learners]  # type: ignore[misc]
    refreshes: list[Step] = [one.refresh for one in learners]
    timings = time_in_turns([*steps, *repacks, *refreshes], seconds)
    best = [timing.best for timing in timings]
    count = len(learners)
    return [
        {
            "model": name,
            "optimizer": kind.optimizer_name,
            "tokens": tokens,
            "pattern": one.pattern,
            "peer": "torch" if one.pattern is None else "tnm_core",
            "seconds": best[index],
            "repack_seconds": best[count + index],
            "refresh_seconds": best[2 * count + index],
            "case": f"{name}, {tokens} tokens, {one.pattern or 'dense'}",
            "disagreement": complaint,
        }
        for index, (one, complaint) in enumerate(zip(learners, complaints, strict=True))
    ]


def disagreement(
    model: nn.Module, kind: TrainedModel, inputs: torch.Tensor
) -> dict[str, object] | None:
    """Compare outputs and gradients of the inputs with those of a masked dense model in float64."""
    some = inputs[: max(1, CHECKED_TOKENS * len(inputs) // inputs[..., 0].numel())]
    found, exact = (_answers(one, some) for one in (model, _in_float64(model, kind)))
    wrong: dict[str, object] = {}
    for name in exact:
        error = float((found[name] - exact[name]).abs().max() / exact[name].abs().max())
        if not error <= TOLERANCE:
            wrong[name] = error
    return wrong or None


def _answers(model: nn.Module, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    kind = next(model.parameters()).dtype
    x = inputs.detach().to(kind).requires_grad_()
    output = model(x)
    (gradient,) = torch.autograd.grad(output.square().mean(), x)
    return {"output": output.detach().double(), "input gradient": gradient.double()}


def _in_float64(model: nn.Module, kind: TrainedModel) -> nn.Module:
    """Build the dense model with the masked weights of another."""
    state = copy.deepcopy(model.state_dict())
    for name in [name for name in state if name.endswith(".mask")]:
        mask = state.pop(name)
        state[name.removesuffix("mask") + "weight"] *= mask
    reference = kind.build()
    reference.load_state_dict(state)
    return reference.double()


def _sparse_layers(model: nn.Module) -> list[TransposableLinear | RowWiseLinear]:
    kinds = (TransposableLinear, RowWiseLinear)
    return [module for module in model.modules() if isinstance(module, kinds)]
