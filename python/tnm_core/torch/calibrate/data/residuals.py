"""Which layers write to a residual stream; found by running the model once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data.batches import Calibration
from tnm_core.torch.calibrate.data.recording import first_tensor

# So many entries of two tensors are compared.
_POSITIONS = 64


def find_residuals(
    model: nn.Module, calibration: Calibration, batch: Any, names: Sequence[str]
) -> dict[str, str]:
    """Find the layers whose output is added to an earlier tensor, and a module that gets that.

    An output y is on a residual stream if some later module gets y + r, where r is what an earlier
    module got. Compared at 64 positions. Returned is, by layer, the name of that earlier module.
    """
    trace = _Trace()
    modules = {name: module for name, module in model.named_modules() if name}
    with ExitStack() as hooks, torch.no_grad():
        for name, module in modules.items():
            hook = partial(trace.add_input, name)
            hooks.enter_context(module.register_forward_pre_hook(hook, with_kwargs=True))
        for name in filter(None, names):  # nothing follows a layer that is the whole model
            hook = partial(trace.add_output, name)
            hooks.enter_context(modules[name].register_forward_hook(hook))
        calibration.forward(model, batch)
    sources = {name: trace.source(name) for name in trace.outputs}
    return {name: source for name, source in sources.items() if source is not None}


@dataclass(frozen=True)
class _Fingerprint:
    """Shape and values at some positions, which tell the tensors of a run apart."""

    shape: tuple[int, ...]
    values: torch.Tensor
    rounding: float = 0.0  # of the tensor's dtype, relative

    @classmethod
    def of(cls, tensor: torch.Tensor) -> _Fingerprint:
        flat = tensor.detach().reshape(-1)
        if not flat.numel():
            return cls(tuple(tensor.shape), torch.zeros(_POSITIONS, dtype=torch.float64))
        # In integers: float32 rounds positions beyond 2^24, the last one past the end.
        steps = torch.arange(_POSITIONS, device=flat.device)
        picked = steps * (flat.numel() - 1) // (_POSITIONS - 1)
        rounding = torch.finfo(tensor.dtype).eps if tensor.is_floating_point() else 0.0
        return cls(tuple(tensor.shape), flat[picked].double().cpu(), rounding)


@dataclass
class _Trace:
    """What modules got in a run, in order, and what layers returned after how many of those."""

    inputs: list[tuple[str, _Fingerprint]] = field(default_factory=list)
    outputs: dict[str, tuple[int, _Fingerprint]] = field(default_factory=dict)

    def add_input(
        self, name: str, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        given = first_tensor((*args, *kwargs.values()))
        if given is not None and given.is_floating_point():
            self.inputs.append((name, _Fingerprint.of(given)))

    def add_output(self, name: str, _: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, torch.Tensor):
            self.outputs[name] = (len(self.inputs), _Fingerprint.of(output))

    def source(self, name: str) -> str | None:
        """Find the latest module whose input, plus the output of a layer, a later module gets."""
        when, output = self.outputs[name]
        sums = [one.values for _, one in self.inputs[when:] if one.shape == output.shape]
        for source, given in reversed(self.inputs[:when]):
            if given.shape != output.shape or not bool(given.values.any()):
                continue
            total = output.values + given.values
            sizes = output.values.abs() + given.values.abs()
            near = 1e-5 * float(sizes.max()) + output.rounding * sizes
            if any(bool(((total - one).abs() <= near).all()) for one in sums):
                return source
        return None
