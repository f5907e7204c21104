"""How a convolution goes over an image: what it pads it with, and what its kernel meets where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

Numbers = int | Sequence[int]  # for both axes, or one for each


@dataclass(frozen=True)
class Unfolding:
    """Kernel, stride and dilation by axis; padding on the left, right, top and bottom."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, ...]
    mode: str = "constant"

    @classmethod
    def of_layer(cls, layer: nn.Conv2d) -> Unfolding:
        """Return how a plain layer unfolds its inputs."""
        unfolding = cls.of_call(layer.weight, layer.stride, 0, layer.dilation)
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        padding = tuple(layer._reversed_padding_repeated_twice)
        return cls(unfolding.kernel, unfolding.stride, unfolding.dilation, padding, mode)

    @classmethod
    def of_call(
        cls, weight: torch.Tensor, stride: Numbers, padding: Numbers | str, dilation: Numbers
    ) -> Unfolding:
        """Return how a call of conv2d unfolds its image."""
        kernel, steps = _pair(tuple(weight.shape[2:])), _pair(dilation)
        if padding == "same":
            missing = [step * (size - 1) for size, step in zip(kernel, steps, strict=True)]
            sides = [(total // 2, total - total // 2) for total in missing]
        else:
            sides = [(one, one) for one in _pair(0 if isinstance(padding, str) else padding)]
        return cls(kernel, _pair(stride), steps, (*sides[1], *sides[0]))

    def patches(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the kernel meets: (images, channels * positions of the kernel, places)."""
        padded = functional.pad(images, self.padding, mode=self.mode)
        return functional.unfold(padded, self.kernel, dilation=self.dilation, stride=self.stride)


def _pair(given: Numbers) -> tuple[int, int]:
    if isinstance(given, Sequence):
        return int(given[0]), int(given[-1])
    return int(given), int(given)
