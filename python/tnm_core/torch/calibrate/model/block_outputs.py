"""What a block should return, and how far the tensors in it are from that."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from tnm_core.torch.calibrate.data import Run, drop_padding, first_tensor


@dataclass(frozen=True)
class WantedBatch:
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


class BlockOutputs:
    """A block, its data, and the error of its outputs for given tensors."""

    def __init__(self, name: str, block: nn.Module, runs: Iterable[Run]) -> None:
        self.name = name
        self.bound = _Bound(block)
        with torch.no_grad():
            self.batches = [
                WantedBatch(run.pruned, run.rows, self._output(run.dense(), run.rows))
                for run in runs
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
        """Return the error to raise."""
        return ValueError(
            f"{self._told} returns NaN or infinite values for the calibration data, expected "
            "finite ones; check the model and its inputs"
        )

    def squared_error(self, batch: WantedBatch, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the squared error for one batch over the variance of all wanted outputs."""
        given = {f"block.{name}": value for name, value in values.items()}
        output = self._output(functional_call(self.bound, given, (batch.run,)), batch.rows)
        wide = torch.promote_types(output.dtype, torch.float32)
        error = (output.to(wide) - batch.wanted.to(wide)).square().sum()
        return error / max(self.variance, 1e-300)

    @torch.no_grad()
    def error(self, values: Mapping[str, torch.Tensor]) -> float:
        """Return the squared error of all outputs over their variance."""
        return sum(float(self.squared_error(batch, values)) for batch in self.batches)

    def gradients(
        self, batch: WantedBatch, values: Mapping[str, torch.Tensor], moved: Sequence[torch.Tensor]
    ) -> Sequence[torch.Tensor]:
        """Return gradients of the error for one batch, zero for tensors that are not used."""
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
