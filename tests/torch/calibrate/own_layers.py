"""Layers with code of their own, and what they are as plain ones."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Asymmetric(nn.Conv2d):
    """Pads by constants; the padding that the module has been given is not used."""

    def forward(self, input: Any) -> Any:
        padded = functional.pad(input, (0, 1, 2, 1))
        weight, bias = self.weight, self.bias
        return functional.conv2d(padded, weight, bias, self.stride, groups=self.groups)


class DynamicSame(nn.Conv2d):
    """Pads by what the image's size needs, as TensorFlow does."""

    def forward(self, input: Any) -> Any:
        sides = []
        for size, kernel, stride in zip(
            input.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            missing = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            sides += [missing // 2, missing - missing // 2]
        return self._conv_forward(functional.pad(input, sides), self.weight, self.bias)


class SaysSame(nn.Conv2d):
    """Leaves padding to conv2d, by name; even kernels are padded more on one side."""

    def forward(self, input: Any) -> Any:
        more = {"bias": self.bias, "padding": "same", "dilation": (1, 2), "groups": self.groups}
        return functional.conv2d(input, weight=self.weight, **more)


class Activated(nn.Conv2d):
    """Writes an activation into what conv2d returned."""

    def forward(self, input: Any) -> Any:
        return functional.leaky_relu_(super().forward(input), 0.1)


class Twice(nn.Conv2d):
    """Multiplies two images, and returns one."""

    def forward(self, input: Any) -> Any:
        return super().forward(input) + super().forward(input.flip(-1)).flip(-1)


class Widened(nn.Conv2d):
    """Multiplies by copies of its parameters."""

    def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
        given, weight = input.double(), weight.double().contiguous()
        return super()._conv_forward(given, weight, bias.to(torch.float64)).to(input.dtype)


class Standardised(nn.Conv2d):
    """Multiplies by something else than its weight."""

    def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
        return super()._conv_forward(input, weight - weight.mean((1, 2, 3), keepdim=True), bias)


class BiasAfterwards(nn.Conv2d):
    """Adds its bias to something else than what conv2d returned."""

    def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
        return super()._conv_forward(input, weight, None).relu() + bias.view(-1, 1, 1)


class Matmul(nn.Linear):
    """Multiplies without torch.nn.functional.linear."""

    def forward(self, input: Any) -> Any:
        return input @ self.weight.T + self.bias


class Scaled(nn.Linear):
    """Multiplies by something else than its weight."""

    def forward(self, input: Any) -> Any:
        return functional.linear(input, 0.5 * self.weight, self.bias)


class OwnNetwork(nn.Module):
    """Convolutions with code of their own, or the same network of plain layers."""

    def __init__(self, *, own: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        one, two, three = (Asymmetric, DynamicSame, Activated) if own else (nn.Conv2d,) * 3
        # What own code does is done around plain layers; the second one gets images of 12 x 10.
        self.around = nn.ModuleList(
            [nn.Identity() for _ in range(3)] if own
            else [nn.ZeroPad2d((0, 1, 2, 1)), nn.ZeroPad2d((0, 1, 0, 1)), nn.LeakyReLU(0.1)]
        )  # fmt: skip
        padding = 1 if own else 0
        self.first = one(4, 16, 3, padding=padding)
        self.second = two(16, 16, 3, stride=2, groups=2)
        self.third = three(16, 16, 1)
        self.stream = (Asymmetric if own else nn.Conv2d)(16, 16, (4, 2), padding=padding)
        self.pad = nn.Identity() if own else nn.ZeroPad2d((0, 1, 2, 1))
        self.last = nn.Linear(16, 8)

    def forward(self, images: Any) -> Any:
        x = self.first(self.around[0](images)).tanh()
        x = self.second(self.around[1](x)).tanh()
        x = self.around[2](self.third(x))
        x = x + self.stream(self.pad(x))
        return self.last(x.flatten(2).mT)


def make_own_network(*, own: bool) -> OwnNetwork:
    return OwnNetwork(own=own).double()


def make_images(batches: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = (4, 4, 11, 11)
    return [0.3 + torch.randn(shape, generator=generator, dtype=torch.float64)
            for _ in range(batches)]  # fmt: skip


def naive_rows(
    padded: torch.Tensor, kernel: Any, stride: int = 1, dilation: Any = (1, 1), groups: int = 1
) -> torch.Tensor:
    """What a kernel meets in images that are padded already: (groups, rows, columns)."""
    reach = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
    channels = padded.shape[1] // groups
    found: list[list[torch.Tensor]] = [[] for _ in range(groups)]
    for image in padded:
        for top in range(0, padded.shape[2] - reach[0], stride):
            for left in range(0, padded.shape[3] - reach[1], stride):
                patch = image[:, top : top + reach[0] + 1 : dilation[0],
                              left : left + reach[1] + 1 : dilation[1]]  # fmt: skip
                for group, rows in enumerate(found):
                    own = patch[group * channels : (group + 1) * channels]
                    rows.append(own.permute(1, 2, 0).reshape(-1))
    return torch.stack([torch.stack(rows) for rows in found])
