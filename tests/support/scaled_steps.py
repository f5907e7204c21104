"""A fused optimizer under a gradient scaler, as far as flags on the device go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch


class DeviceFlag(torch.Tensor):
    """Stands for a number on a device: notes whenever the host reads it, or what is made of it."""

    reads = 0

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if getattr(function, "__name__", "") in {"item", "tolist", "__bool__", "__int__"}:
            cls.reads += 1
        return super().__torch_function__(function, types, args, kwargs or {})


def device_flag(value: float) -> DeviceFlag:
    """Make such a number, and begin to count readings."""
    return torch.tensor(value).as_subclass(DeviceFlag)


class FusedSgd(torch.optim.Optimizer):
    """Leaves out a step if `found_inf` is not 0, and does not look at it on the host."""

    found_inf: torch.Tensor

    def __init__(self, parameters: Iterable[torch.Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    keep = (self.found_inf.as_subclass(torch.Tensor) == 0).to(parameter)
                    parameter.sub_(parameter.grad * group["lr"] * keep)
