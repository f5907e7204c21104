"""The product of a masked linear layer as one operator that autograd and compilers know.

``tnm_core::masked_product`` computes X Wᵀ + b, or with ``transposed`` X W, with W masked. The
gradient of either by X is the other, so that training multiplies by ``packed`` in the forward pass
and by ``packed_t`` for the input gradient. The gradient by W is a dense product.
"""

from __future__ import annotations

from typing import Any

import torch

from tnm_core.torch.linear.backends import BACKENDS
from tnm_core.torch.linear.packed_state import packed_from
from tnm_core.torch.linear.packing import Packed, masked
from tnm_core.torch.linear.weight_layout import as_matrix, like_weight

_SCHEMA = (
    "(Tensor rows, Tensor weight, Tensor mask, Tensor? bias, Tensor values, Tensor indices, "
    "Tensor values_t, Tensor indices_t, int n, int m, str backend, bool transposed, "
    "bool masked_gradient, str layout) -> Tensor"
)


def multiply_masked(
    rows: torch.Tensor,
    weight: torch.Tensor,
    mask: torch.Tensor,
    bias: torch.Tensor | None,
    values: torch.Tensor,
    indices: torch.Tensor,
    values_t: torch.Tensor,
    indices_t: torch.Tensor,
    n: int,
    m: int,
    backend: str,
    transposed: bool,
    masked_gradient: bool,
    layout: str,
) -> torch.Tensor:
    """Multiply rows (..., in) by the masked weight's transpose, or (..., out) by the weight."""
    shape = _result_shape(rows, weight, transposed, layout)
    if rows.numel() == 0:
        return rows.new_empty(shape)
    packed = Packed(values_t, indices_t) if transposed else Packed(values, indices)
    if backend == "dense":
        dense = as_matrix(masked(weight, mask), layout).to(rows.dtype)
        packed = Packed(dense.t() if transposed else dense, indices)
    elif not transposed:
        # Backward multiplies by what forward packed, whatever became of the weight since.
        _check_usable(rows, weight, mask, packed, backend)
    elif values_t.numel() == 0 and weight.numel() > 0:
        raise RuntimeError(
            "a layer compiled in evaluation has not packed the transpose, which gradients by the "
            "input need; expected train(), or one forward pass with gradients before torch.compile"
        )
    with torch.autocast(rows.device.type, enabled=False):
        flat = rows.reshape(-1, rows.shape[-1])
        result = BACKENDS[backend].product(flat, packed, bias, n, m)
    # Not a view for autograd: what else refers to this memory is gone when this returns.
    return torch.ops.aten._unsafe_view(result, shape)  # type: ignore[no-any-return]


def _result_shape(
    rows: torch.Tensor, weight: torch.Tensor, transposed: bool, layout: str
) -> tuple[int, ...]:
    return (*rows.shape[:-1], weight.shape[int(transposed != (layout == "in_out"))])


def _check_usable(
    rows: torch.Tensor, weight: torch.Tensor, mask: torch.Tensor, packed: Packed, backend: str
) -> None:
    values = packed.values
    if values.numel() == 0 and weight.numel() > 0:
        raise RuntimeError(
            "a TransposableLinear was compiled before it was packed; expected a packed one: run "
            "one forward pass before torch.compile, which packs or says what is in the way"
        )
    source = packed_from(values)
    owner = "a TransposableLinear" if source is None else source.owner
    dtype = BACKENDS[backend].dtype_of(packed)
    if dtype != rows.dtype:
        raise RuntimeError(
            f"{owner} is packed in {dtype} and its input is {rows.dtype}: expected the same "
            "dtype; give compute_dtype, or run one forward pass under autocast before torch.compile"
        )
    if source is not None and not source.is_current(weight, mask):
        raise RuntimeError(
            f"{owner}: weight or mask changed after they were packed; expected a call of repack() "
            "after each optimizer step, as repack_after_step(optimizer, model) makes"
        )


masked_product = torch.library.custom_op(
    "tnm_core::masked_product", multiply_masked, mutates_args=(), schema=_SCHEMA
)


@masked_product.register_fake
def _(rows: torch.Tensor, weight: torch.Tensor, *others: Any) -> torch.Tensor:
    *_, transposed, _, layout = others
    return rows.new_empty(_result_shape(rows, weight, transposed, layout))


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    rows, weight, mask, _, *others = inputs
    by_rows, by_weight = ctx.needs_input_grad[:2]
    # The other orientation gives the gradient by the rows, this one its own gradient in turn.
    packed, ctx.options = others[:4], others[4:]
    needed = (rows if by_weight else None, weight if by_rows or by_weight else None)
    ctx.save_for_backward(*needed, mask, *packed)


def _backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    rows, weight, mask, *packed = ctx.saved_tensors
    n, m, backend, transposed, masked_gradient, layout = ctx.options
    by_rows, by_weight, _, by_bias = ctx.needs_input_grad[:4]
    rows_gradient = weight_gradient = bias_gradient = None
    if by_rows:
        options = (n, m, backend, not transposed, masked_gradient, layout)
        rows_gradient = masked_product(gradient, weight, mask, None, *packed, *options)
    if by_weight:
        left, right = (rows, gradient) if transposed else (gradient, rows)
        weight_gradient = (_by_rows(left).t() @ _by_rows(right)).to(weight.dtype)
        weight_gradient = like_weight(weight_gradient, weight, layout)
        if masked_gradient:
            weight_gradient = masked(weight_gradient, mask)
    if by_bias:
        bias_gradient = _by_rows(gradient).sum(0)
    return (rows_gradient, weight_gradient, None, bias_gradient, *(None,) * 10)


def _by_rows(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(-1, tensor.shape[-1])


masked_product.register_autograd(_backward, setup_context=_setup_context)
