"""Products with a weight that is only there in packed form, as operators that compilers know.

``tnm_core::packed_product`` computes X Wᵀ + b on the CPU. Its gradient by X is dense: nothing is
trained through such a weight but what lies before it. ``tnm_core::unpacked_matrix`` is W itself.
"""

from __future__ import annotations

from typing import Any, cast

import torch

from tnm_core.torch.linear.outside_of_graphs import is_unwatched
from tnm_core.torch.linear.packed_buffers import multiply, unpack_matrix


def _multiplied(
    rows: torch.Tensor,
    packed: torch.Tensor,
    bias: torch.Tensor | None,
    out_features: int,
    in_features: int,
) -> torch.Tensor:
    if rows.numel() == 0:
        return rows.new_empty((*rows.shape[:-1], out_features))
    return multiply(rows, packed, bias, out_features)


_product = torch.library.custom_op(
    "tnm_core::packed_product",
    _multiplied,
    mutates_args=(),
    schema=(
        "(Tensor rows, Tensor packed, Tensor? bias, int out_features, int in_features) -> Tensor"
    ),
)


@_product.register_fake
def _(
    rows: torch.Tensor,
    packed: torch.Tensor,
    bias: torch.Tensor | None,
    out_features: int,
    in_features: int,
) -> torch.Tensor:
    return rows.new_empty((*rows.shape[:-1], out_features))


@torch.library.custom_op(
    "tnm_core::unpacked_matrix",
    mutates_args=(),
    schema="(Tensor packed, int rows, int columns, ScalarType dtype) -> Tensor",
)
def unpacked_matrix(
    packed: torch.Tensor, rows: int, columns: int, dtype: torch.dtype
) -> torch.Tensor:
    """Return the packed matrix (rows, columns) of that dtype, with its zeros."""
    return unpack_matrix(packed)[0]


@unpacked_matrix.register_fake
def _(packed: torch.Tensor, rows: int, columns: int, dtype: torch.dtype) -> torch.Tensor:
    return packed.new_empty((rows, columns), dtype=dtype)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    rows, packed, _, ctx.out_features, ctx.in_features = inputs
    ctx.dtype = rows.dtype
    ctx.save_for_backward(packed)


def _backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    (packed,) = ctx.saved_tensors
    by_rows, _, by_bias = ctx.needs_input_grad[:3]
    rows_gradient = bias_gradient = None
    if by_rows:
        weight = unpacked_matrix(packed, ctx.out_features, ctx.in_features, ctx.dtype)
        with torch.autocast(gradient.device.type, enabled=False):
            rows_gradient = gradient @ weight
    if by_bias:
        bias_gradient = gradient.reshape(-1, ctx.out_features).sum(0)
    return rows_gradient, None, bias_gradient, None, None


_product.register_autograd(_backward, setup_context=_setup_context)


def packed_product(
    rows: torch.Tensor,
    packed: torch.Tensor,
    bias: torch.Tensor | None,
    sides: tuple[int, int],
) -> torch.Tensor:
    """Multiply rows (..., in) by the transpose of a packed matrix (out, in), and add the bias."""
    if is_unwatched(rows, bias):
        # What an operator costs in Python is as much as a small product.
        return _multiplied(rows, packed, bias, *sides)
    return cast(torch.Tensor, _product(rows, packed, bias, *sides))
