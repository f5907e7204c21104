"""Distilling a pruned model: Adam on what its layers keep, towards the dense model's outputs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data import Calibration, drop_padding, first_tensor
from tnm_core.torch.calibrate.model.dense_reference import DenseFile
from tnm_core.torch.calibrate.model.prune_report import Distillation, DistillStep
from tnm_core.torch.calibrate.model.tunable import root_mean_square, tunable_parameters
from tnm_core.torch.calibrate.model.tuning import share_of_rate
from tnm_core.torch.calibrate.solvers import DistillLoss, Recipe
from tnm_core.torch.tensors import keep_

# One batch of so many measures instead of being learnt from; and how many do so at most.
_MEASURED_OF, _MOST_MEASURED = 16, 4
_BETAS = (0.9, 0.95)


def check_distillable(model: nn.Module, calibration: Calibration, loss: DistillLoss) -> None:
    """Raise what `distill_` would for the first batch, before hours are spent."""
    for batch in calibration.batches:
        parameters = [one for one in model.parameters() if one.is_floating_point()]
        with torch.enable_grad(), _requiring(model, parameters):
            output = calibration.forward(model, batch)
            _error(output, output, calibration.rows(batch), loss)
            if not _outputs(output, loss)[0].requires_grad:
                raise ValueError(
                    "the model computes without gradients (under no_grad or inference_mode), "
                    "expected one that can be trained, to distill it; set distill_epochs=0"
                )
        return
    raise ValueError("there is no batch to distill with, expected at least one")


def distill_(
    dense: nn.Module,
    pruned: nn.Module,
    calibration: Calibration,
    masks: Mapping[str, torch.Tensor],
    recipe: Recipe,
    tell: Callable[[DistillStep], None] = lambda _: None,
) -> Distillation:
    """Bring a pruned model's outputs closer to the dense ones by Adam, with the masks fixed.

    A few batches, spread evenly, are left out and measure. If their error has not fallen, the
    weights stay as they were, as after any exception. Masks are by pruned layer; `tell` is told of
    each step. Those that measure are read once, as a loader that shuffles gives others each time.
    """
    start = time.perf_counter()
    trained = [
        _Trained.of(name, parameter, masks)
        for name, parameter in tunable_parameters(pruned, "", masks, norms=False).items()
    ]
    before_all = _Copies(pruned, [one.parameter for one in trained])
    count = sum(1 for _ in calibration.batches)
    measured = _spread(count)
    held_out = [one for index, one in enumerate(calibration.batches) if index in measured]
    run = _PairedOutputs(dense, pruned, calibration, recipe.distill_loss)
    before = run.measure(held_out)
    steps = 0
    try:
        with _requiring(pruned, [one.parameter for one in trained]):
            for error, total in _steps(run, trained, measured, count, recipe):
                steps += 1
                tell(DistillStep(steps, total, error, time.perf_counter() - start))
        after = run.measure(held_out)
    except BaseException:
        before_all.write_back_()
        raise
    if not after < before:
        before_all.write_back_()
    return Distillation(before, after, steps, bool(after < before), time.perf_counter() - start)


@dataclass(frozen=True)
class _Trained:
    """A parameter that learns: in float32 at least, with its mask and the unit of its steps."""

    parameter: nn.Parameter
    wide: torch.Tensor
    mask: torch.Tensor | None
    size: float

    @classmethod
    def of(cls, name: str, parameter: nn.Parameter, masks: Mapping[str, torch.Tensor]) -> _Trained:
        layer, _, kind = name.rpartition(".")
        mask = masks.get(layer) if kind == "weight" else None
        own = parameter.detach()
        wide = own.to(torch.promote_types(own.dtype, torch.float32))  # itself, if it is
        size = float(root_mean_square(own, mask))
        return cls(parameter, wide, mask, size)

    def set_gradient(self, gradient: torch.Tensor) -> None:
        # In the layout of the parameter, which a fused optimizer takes for granted.
        given = torch.empty_like(self.wide).copy_(gradient)
        if self.mask is not None:
            keep_(given, self.mask)
        self.wide.grad = given

    def write_(self) -> None:
        self.wide.grad = None
        if self.wide.data_ptr() != self.parameter.data_ptr():
            self.parameter.data.copy_(self.wide)


class _Copies:
    """Values of parameters, in a temporary file if they are large."""

    def __init__(self, model: nn.Module, parameters: list[nn.Parameter]) -> None:
        self._file = DenseFile(model, parameters)
        self._pairs = [
            (one, self._file.copies[id(one)] if id(one) in self._file.copies else one.clone())
            for one in parameters
        ]

    @torch.no_grad()
    def write_back_(self) -> None:
        for parameter, copy in self._pairs:
            parameter.copy_(copy)


@dataclass(frozen=True)
class _PairedOutputs:
    """Both models, and how far the outputs of the pruned one are off."""

    dense: nn.Module
    pruned: nn.Module
    calibration: Calibration
    loss: DistillLoss

    def error(self, batch: Any) -> torch.Tensor:
        with torch.no_grad():
            wanted = self.calibration.forward(self.dense, batch)
        found = self.calibration.forward(self.pruned, batch)
        return _error(found, wanted, self.calibration.rows(batch), self.loss)

    @torch.no_grad()
    def measure(self, held_out: list[Any]) -> float:
        """Return the mean error on the batches that measure."""
        return sum(float(self.error(batch)) for batch in held_out) / len(held_out)


def _spread(count: int) -> set[int]:
    """Choose the batches that measure, evenly spread."""
    wanted = max(1, min(_MOST_MEASURED, count // _MEASURED_OF))
    return {(2 * index + 1) * count // (2 * wanted) for index in range(wanted)}


def _steps(
    run: _PairedOutputs,
    trained: list[_Trained],
    measured: set[int],
    count: int,
    recipe: Recipe,
) -> Iterator[tuple[float, int]]:
    """Learn from the batches that do not measure, or from the only one.

    Yields the error that each step began with, and how many steps there are.
    """
    left_out = measured if count > len(measured) else set()
    optimizer = _adam(trained)
    total = recipe.distill_epochs * (count - len(left_out))
    parameters = [one.parameter for one in trained]
    done = 0
    for _ in range(recipe.distill_epochs):
        for index, batch in enumerate(run.calibration.batches):
            if index in left_out:
                continue
            done += 1
            with torch.enable_grad():
                error = run.error(batch)
            found = float(error.detach())
            if not math.isfinite(found):
                return  # it will not recover
            gradients = torch.autograd.grad(
                error, parameters, allow_unused=True, materialize_grads=True
            )
            for one, gradient in zip(trained, gradients, strict=True):
                one.set_gradient(gradient)
            del error, gradients
            for group in optimizer.param_groups:
                group["lr"] = recipe.distill_rate * group["size"] * share_of_rate(done, total)
            optimizer.step()
            for one in trained:
                one.write_()
            yield found, total


def _adam(trained: list[_Trained]) -> torch.optim.Adam:
    groups = [{"params": [one.wide], "size": one.size} for one in trained]
    fused = all(one.wide.device.type in ("cpu", "cuda") for one in trained)
    return torch.optim.Adam(groups, lr=0.0, betas=_BETAS, fused=fused)


@contextmanager
def _requiring(model: nn.Module, parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Let gradients reach these parameters and no others, within."""
    before = {one: one.requires_grad for one in model.parameters()}
    try:
        for one in before:
            one.requires_grad_(False)
        for one in parameters:
            one.requires_grad_(True)
        yield
    finally:
        for one, wanted in before.items():
            one.requires_grad_(wanted)


def _outputs(output: Any, loss: DistillLoss) -> tuple[torch.Tensor, bool]:
    """Return the tensor that counts of what a model returns, and whether it holds logits."""
    logits = getattr(output, "logits", None)
    known = isinstance(logits, torch.Tensor)
    tensor = logits if known else first_tensor(output)
    if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
        kind = type(output).__name__ if tensor is None else f"a tensor of {tensor.dtype}"
        raise ValueError(
            f"the model returns {kind}, expected a floating-point tensor, logits, or a tuple or "
            "mapping whose first tensor is one, to distill it; set distill_epochs=0"
        )
    return tensor, known if loss == "auto" else loss == "divergence"


def _error(found: Any, wanted: Any, rows: torch.Tensor | None, loss: DistillLoss) -> torch.Tensor:
    """Say how far an output is from a wanted one: mean over tokens, or relative."""
    given, are_logits = _outputs(found, loss)
    aim, _ = _outputs(wanted, loss)
    given, aim = (
        drop_padding(one, rows).to(torch.promote_types(one.dtype, torch.float32))
        for one in (given, aim)
    )
    if not bool(aim.isfinite().all()):
        raise ValueError(
            "the dense model returns NaN or infinite values for a batch to distill with, expected "
            "finite ones; check the model and its inputs"
        )
    if are_logits:
        classes = aim.shape[-1]
        return nn.functional.kl_div(
            given.reshape(-1, classes).log_softmax(1),
            aim.reshape(-1, classes).log_softmax(1),
            reduction="batchmean",
            log_target=True,
        )
    variance = (aim - aim.mean()).square().sum()
    return (given - aim).square().sum() / variance.clamp_min(1e-300)
