"""Convolutions with kernels of one position: a matrix, multiplied at every position."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tnm_core.pattern import Pattern
from tnm_core.torch.linear.masked_layer import MaskedLayer


def channels_last(images: torch.Tensor, stride: tuple[int, ...]) -> torch.Tensor:
    """View images (..., channels, positions) as (..., positions, channels), every `stride`-th."""
    axes = len(stride)
    if images.dim() not in (axes + 1, axes + 2):
        raise ValueError(
            f"input has shape {tuple(images.shape)}, expected (channels, {axes} axes of positions) "
            "or a batch of such"
        )
    if any(step != 1 for step in stride):
        every: Any = (Ellipsis, *(slice(None, None, step) for step in stride))
        images = images[every]
    return images.movedim(-axes - 1, -1)


def channels_first(rows: torch.Tensor, axes: int) -> torch.Tensor:
    """View (..., positions, channels) as (..., channels, positions), with so many axes of them."""
    return rows.movedim(-1, -axes - 1)


class MaskedPointwise(MaskedLayer):
    """The product of a convolution, to be mixed into its class."""

    stride: tuple[int, ...]

    @classmethod
    def from_dense(
        cls, dense: Any, pattern: Pattern, mask: torch.Tensor | None = None, **options: Any
    ) -> Any:
        """Build a layer around the Parameters of a dense convolution; optimizers go on with them.

        Parameters
        ----------
        dense : torch.nn.Conv1d or torch.nn.Conv2d
            A convolution with a kernel of one position, one group and no padding; left as it is.
        pattern : Pattern
            n of m channels are kept.
        mask : Tensor of bool, shape of the weight, optional
            A mask of the pattern; by default the optimal one of the weight's magnitudes.
        **options
            `backend`, `compute_dtype`, `masked_gradient`, `name` and `speeds`, as for
            `TransposableLinear`.
        """
        layer = cls(dense.in_channels, dense.out_channels, 1, stride=dense.stride, device="meta")
        layer.in_features, layer.out_features = dense.in_channels, dense.out_channels
        layer.weight, layer.bias = dense.weight, dense.bias
        layer.training = dense.training
        layer._prepare_masking(pattern, mask=mask, **options)
        return layer

    def _empty_dense(self) -> nn.Module:
        kind = nn.Conv1d if isinstance(self, nn.Conv1d) else nn.Conv2d
        sides = (self.in_features, self.out_features)
        return kind(*sides, 1, stride=self.stride, device="meta")  # type: ignore[arg-type]

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Multiply the channels at every position; images come out with channels last in memory."""
        return channels_first(self._product(channels_last(input, self.stride)), len(self.stride))


class TransposablePointwise1d(MaskedPointwise, nn.Conv1d):
    """`torch.nn.Conv1d` of kernel 1 with a transposable mask; `to_sparse_linear_` makes it."""


class TransposablePointwise2d(MaskedPointwise, nn.Conv2d):
    """`torch.nn.Conv2d` of kernel 1 x 1 with a transposable mask; `to_sparse_linear_` makes it."""
