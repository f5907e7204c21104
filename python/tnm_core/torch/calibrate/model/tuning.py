"""Tuning a block whose layers are pruned: Adam on what they keep, towards the dense outputs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from tnm_core.torch.calibrate.data import Run, drop_padding, first_tensor
from tnm_core.torch.calibrate.model.prune_report import TunedBlock

__all__ = ["check_tunable", "tunable_parameters", "tune_block"]

# Share of the steps in which the rate rises; it falls to zero in the others.
_WARM_UP = 0.1


def tunable_parameters(
    model: nn.Module, block: str, layers: Iterable[str], norms: bool
) -> dict[str, nn.Parameter]:
    """Parameters that tuning a block may change, by their names in the model.

    Those of the pruned layers in the block, and of its normalisations if `norms`; none that is
    used outside the block, too.
    """
    prefix = f"{block}." if block else ""
    own = {name for name in layers if name == block or name.startswith(prefix)}
    if norms:
        modules = model.get_submodule(block).named_modules()
        own |= {_joined(block, name) for name, one in modules if _is_normalisation(one)}
    wanted = {_joined(name, kind) for name in own for kind in ("weight", "bias")}
    elsewhere = {
        id(parameter)
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if not name.startswith(prefix)
    }
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if name in wanted and id(parameter) not in elsewhere
    }


def _joined(module: str, name: str) -> str:
    return f"{module}.{name}" if module and name else module or name


def _is_normalisation(module: nn.Module) -> bool:
    """Known by its name, so that models' own normalisations are, too."""
    leaf = "Norm" in type(module).__name__ and not any(module.children())
    return leaf and all(one.ndim == 1 for one in module.parameters(recurse=False))


class _Tuned:
    """A parameter as start + scale * moved, so that one rate of Adam suits all.

    Weights and biases move by their root mean square. What multiplies each feature moves in
    proportion to itself: Adam's steps do not heed how small a gradient is, and would wake features
    that the model has switched off.
    """

    def __init__(
        self, parameter: nn.Parameter, mask: torch.Tensor | None, scale: torch.Tensor
    ) -> None:
        wide = torch.float64 if parameter.dtype == torch.float64 else torch.float32
        self.parameter = parameter
        self.mask = mask
        self.start = parameter.detach().to(wide)
        self.scale = scale.to(wide)
        self.moved = torch.zeros_like(self.start, requires_grad=True)

    def value(self, moved: torch.Tensor) -> torch.Tensor:
        """The parameter, after a move."""
        return (self.start + self.scale * moved).to(self.parameter.dtype)

    def set_gradient(self, gradient: torch.Tensor) -> None:
        """What Adam sees; entries without gradient do not move."""
        self.moved.grad = gradient if self.mask is None else gradient.mul_(self.mask)


def _tuned_tensors(
    parameters: Mapping[str, nn.Parameter], masks: Mapping[str, torch.Tensor]
) -> dict[str, _Tuned]:
    found = {}
    for name, parameter in parameters.items():
        module, _, kind = name.rpartition(".")
        mask = masks.get(module)
        weight = parameters.get(_joined(module, "weight"))
        if kind == "weight" and mask is None:
            found[name] = _Tuned(parameter, None, parameter.detach().abs())
            continue
        size = _size(parameter, mask if kind == "weight" else None)
        if kind == "bias" and weight is not None:
            size = torch.maximum(size, _size(weight, mask))
        found[name] = _Tuned(parameter, mask if kind == "weight" else None, size)
    return found


def _size(parameter: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Root mean square of the entries that are kept."""
    kept = parameter.detach().double()
    count = kept.numel() if mask is None else int(mask.sum())
    return (kept.square().sum() / max(count, 1)).sqrt()


@dataclass(frozen=True)
class _Batch:
    """How the pruned block runs on one batch, and what it should return."""

    run: Callable[[], Any]
    rows: torch.Tensor | None
    wanted: torch.Tensor


class _Bound(nn.Module):
    """Gives `functional_call` a block to exchange tensors in, while some function runs it."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, run: Callable[[], Any]) -> Any:
        return run()


class _Block:
    """A block, its data, and the error of its outputs for given tensors."""

    def __init__(self, name: str, block: nn.Module, runs: Iterable[Run]) -> None:
        self.name = name
        self.bound = _Bound(block)
        with torch.no_grad():
            self.batches = [
                _Batch(run.pruned, run.rows, self._output(run.dense(), run.rows)) for run in runs
            ]
        count = max(sum(batch.wanted.numel() for batch in self.batches), 1)
        mean = sum(float(batch.wanted.double().sum()) for batch in self.batches) / count
        self.variance = sum(
            float((batch.wanted.double() - mean).square().sum()) for batch in self.batches
        )
        if not math.isfinite(self.variance):
            raise self.not_finite()

    def _output(self, output: Any, rows: torch.Tensor | None) -> torch.Tensor:
        tensor = first_tensor(output)
        if tensor is None or not tensor.is_floating_point():
            kind = type(output).__name__ if tensor is None else f"a tensor of {tensor.dtype}"
            raise ValueError(
                f"{self._told} returns {kind}, expected a floating-point tensor, or a tuple or "
                "mapping whose first tensor is one, to tune it; set tune_epochs=0"
            )
        return drop_padding(tensor, rows)

    @property
    def _told(self) -> str:
        return f"block {self.name!r}" if self.name else "the model"

    def not_finite(self) -> ValueError:
        """The error to raise."""
        return ValueError(
            f"{self._told} returns NaN or infinite values for the calibration data, expected "
            "finite ones; check the model and its inputs"
        )

    def squared_error(self, batch: _Batch, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Of the outputs for one batch, relative to the variance of all wanted outputs."""
        given = {f"block.{name}": value for name, value in values.items()}
        output = self._output(functional_call(self.bound, given, (batch.run,)), batch.rows)
        wide = torch.promote_types(output.dtype, torch.float32)
        error = (output.to(wide) - batch.wanted.to(wide)).square().sum()
        return error / max(self.variance, 1e-300)

    @torch.no_grad()
    def error(self, values: Mapping[str, torch.Tensor]) -> float:
        """Squared error of all outputs over their variance."""
        return sum(float(self.squared_error(batch, values)) for batch in self.batches)

    def gradients(
        self, batch: _Batch, values: Mapping[str, torch.Tensor], moved: Sequence[torch.Tensor]
    ) -> Sequence[torch.Tensor]:
        """Of the error for one batch; zero for tensors that the block does not use."""
        # Gradients of single outputs shall not be too small for float16.
        scale = math.sqrt(batch.wanted.numel())
        error = self.squared_error(batch, values) * len(self.batches) * scale
        if not error.requires_grad:
            raise ValueError(
                f"{self._told} computes without gradients (under no_grad or inference_mode), "
                "expected one that can be trained, to tune it; set tune_epochs=0"
            )
        found = torch.autograd.grad(error, moved, allow_unused=True, materialize_grads=True)
        return [gradient.div_(scale) for gradient in found]


def check_tunable(model: nn.Module, layers: Iterable[str], run: Run, norms: bool) -> None:
    """Raise what `tune_block` would for the whole model, from one batch."""
    tuned = _tuned_tensors(tunable_parameters(model, "", layers, norms), {})
    block = _Block("", model, [run])
    if not tuned:
        return
    with torch.enable_grad():
        values = {name: one.value(one.moved) for name, one in tuned.items()}
        block.gradients(block.batches[0], values, [one.moved for one in tuned.values()])


def tune_block(
    model: nn.Module,
    name: str,
    runs: Iterable[Run],
    masks: Mapping[str, torch.Tensor],
    *,
    epochs: int,
    rate: float,
    norms: bool = True,
    seed: int = 0,
) -> TunedBlock:
    """Bring a pruned block's outputs closer to the dense ones by Adam, with the masks fixed.

    The tensors of the epoch whose error on all data is least are written into the model at the
    end, if that is less than the error before; else it stays as it is.

    Parameters
    ----------
    model : torch.nn.Module
        Pruned; its block is tuned.
    name : str
        Of the block; ``""`` for the whole model.
    runs : iterable of Run
        The data: what the dense block returns for them is aimed at.
    masks : mapping of str to torch.Tensor of bool
        By pruned layer, what its weight keeps.
    epochs : int
        Passes over the data.
    rate : float
        Highest step of Adam, relative to the root mean square of each tensor.
    norms : bool
        Whether to tune scale and shift of normalisations, too.
    seed : int
        Of the order of the batches.

    Raises
    ------
    ValueError
        If the block returns no floating-point tensor, none with a gradient, or none that is
        finite. The block is unchanged then, as after any exception.
    """
    start = time.perf_counter()
    block = _Block(name, model.get_submodule(name), runs)
    prefix = len(name) + 1 if name else 0
    found = tunable_parameters(model, name, masks, norms)
    tuned = _tuned_tensors(found, masks)
    before = block.error({})
    if not math.isfinite(before):
        raise block.not_finite()
    best, epoch, kept = before, 0, None
    short = {full[prefix:]: one for full, one in tuned.items()}
    for done, error in enumerate(_epochs(block, short, epochs, rate, seed), 1):
        if error < best:
            best, epoch = error, done
            kept = [one.moved.detach().clone() for one in tuned.values()]
        if not math.isfinite(error):
            break  # it will not recover
    if kept is not None:
        with torch.no_grad():
            for one, moved in zip(tuned.values(), kept, strict=True):
                one.parameter.copy_(one.value(moved))
    return TunedBlock(name, before, best, epoch, time.perf_counter() - start)


def _epochs(
    block: _Block, tuned: Mapping[str, _Tuned], epochs: int, rate: float, seed: int
) -> Iterator[float]:
    """Move the tensors; yields the error after each epoch."""
    if not tuned:
        return  # Adam wants some
    generator = torch.Generator().manual_seed(seed)
    moved = [one.moved for one in tuned.values()]
    optimizer = torch.optim.Adam(moved, lr=rate)
    total = epochs * len(block.batches)
    done = 0
    for _ in range(epochs):
        for index in torch.randperm(len(block.batches), generator=generator).tolist():
            done += 1
            warm = min(done / max(_WARM_UP * total, 1.0), 1.0)
            optimizer.param_groups[0]["lr"] = rate * warm * (1 - (done - 1) / total)
            with torch.enable_grad():
                values = {name: one.value(one.moved) for name, one in tuned.items()}
                gradients = block.gradients(block.batches[index], values, moved)
            for one, gradient in zip(tuned.values(), gradients, strict=True):
                one.set_gradient(gradient)
            optimizer.step()
        yield block.error({name: one.value(one.moved.detach()) for name, one in tuned.items()})
