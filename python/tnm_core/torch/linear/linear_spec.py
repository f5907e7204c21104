"""What is to be multiplied: what back ends are chosen and speeds are found by."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from tnm_core.pattern import Pattern


@dataclass(frozen=True)
class LinearSpec:
    """A masked weight, and the dtype in which its products are computed."""

    out_features: int
    in_features: int
    pattern: Pattern
    device: torch.device
    dtype: torch.dtype

    @property
    def density(self) -> float:
        """The share of the weight that is kept."""
        return self.pattern.n / self.pattern.m

    @property
    def dtype_name(self) -> str:
        """The dtype as tables of speeds name it, such as ``"bfloat16"``."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def device_name(self) -> str:
        """The name of the GPU, or the type of another device."""
        is_cuda = self.device.type == "cuda"
        return torch.cuda.get_device_name(self.device) if is_cuda else self.device.type

    @property
    def described(self) -> tuple[str, str, int, int, str]:
        """Device, dtype, shape and pattern, as a `Speed` has them."""
        shape = (self.out_features, self.in_features)
        return (self.device_name, self.dtype_name, *shape, str(self.pattern))

    @classmethod
    def of(cls, linear: nn.Linear, pattern: Pattern, dtype: torch.dtype) -> LinearSpec:
        """Describe the products of a layer."""
        return cls(linear.out_features, linear.in_features, pattern, linear.weight.device, dtype)
