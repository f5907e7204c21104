"""The product of a masked linear layer, as autograd and compilers know it.

``tnm_core::masked_product`` computes X Wᵀ + b, or with ``transposed`` X W, with W masked. The
gradient of either by X is the other, so that training multiplies by ``packed`` in the forward pass
and by ``packed_t`` for the input gradient; where the mask is row-wise there is no ``packed_t``, and
that is a dense product by the masked weight. The gradient by W is a dense product. A weight that is
not packed needs no operator: it is masked once, kept for the backward pass and multiplied densely.
"""

from __future__ import annotations

from typing import Any, cast

import torch

from tnm_core.pattern import Pattern
from tnm_core.torch.linear.backends import BACKENDS
from tnm_core.torch.linear.linear_spec import LinearSpec
from tnm_core.torch.linear.outside_of_graphs import is_unwatched
from tnm_core.torch.linear.packed_state import PackedFrom, packed_from, remember
from tnm_core.torch.linear.packing import Packed, PackedPair
from tnm_core.torch.linear.weight_layout import Layout, as_matrix, like_weight
from tnm_core.torch.tensors import keep

_SCHEMA = (
    "(Tensor rows, Tensor weight, Tensor mask, Tensor? bias, Tensor values, Tensor indices, "
    "Tensor values_t, Tensor indices_t, int n, int m, bool transposable, str backend, "
    "bool transposed, bool masked_gradient, str layout) -> Tensor"
)

# What errors call a layer if nothing is known of what is packed.
_SOME_OWNER = "a sparse layer"


def masked_product(
    rows: torch.Tensor,
    weight: torch.Tensor,
    mask: torch.Tensor,
    bias: torch.Tensor | None,
    packed: PackedPair,
    n: int,
    m: int,
    transposable: bool,
    backend: str,
    *,
    layout: Layout = "out_in",
    transposed: bool = False,
    masked_gradient: bool = False,
    keeps_masked: bool = True,
) -> torch.Tensor:
    """Multiply rows (..., in) by the masked weight's transpose, or (..., out) by the weight.

    `masked_gradient` gives dropped weights no gradient; they get that of the dense weight else.
    Without `keeps_masked` a weight that is not packed is masked anew in the backward pass: it was
    gathered from shards, and nothing of its size shall outlive that.
    """
    unwatched = is_unwatched(rows, weight, bias)
    if unwatched or backend != "dense" or not keeps_masked:
        # What an operator costs in Python is as much as a small product.
        call: Any = _multiplied if unwatched else _product
        options = (n, m, transposable, backend, transposed, masked_gradient, layout)
        operands = (rows, weight, mask, bias, *packed[0], *packed[1])
        return cast(torch.Tensor, call(*operands, *options))
    # Autograd keeps the masked weight, so that the backward pass does not mask again.
    kept = _MaskedWeight.apply(weight, mask, rows.dtype, masked_gradient)  # type: ignore[no-untyped-call]
    dense = as_matrix(kept, layout)
    with torch.autocast(rows.device.type, enabled=False):
        flat = torch.nn.functional.linear(_by_rows(rows), dense.t() if transposed else dense, bias)
    return _in_shape(flat, _result_shape(rows, weight, transposed, layout))


class _MaskedWeight(torch.autograd.Function):
    """The masked weight in the dtype of products; its gradient passes as it is, or masked."""

    @staticmethod
    def forward(
        weight: torch.Tensor, mask: torch.Tensor, dtype: torch.dtype, masked_gradient: bool
    ) -> torch.Tensor:
        return keep(weight, mask).to(dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        weight, mask, _, masked_gradient = inputs
        ctx.dtype = weight.dtype
        ctx.save_for_backward(mask if masked_gradient else None)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (mask,) = ctx.saved_tensors
        gradient = gradient.to(ctx.dtype)
        return gradient if mask is None else keep(gradient, mask), None, None, None


def _multiplied(
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
    transposable: bool,
    backend: str,
    transposed: bool,
    masked_gradient: bool,
    layout: Layout,
) -> torch.Tensor:
    shape = _result_shape(rows, weight, transposed, layout)
    if rows.numel() == 0:
        return rows.new_empty(shape)
    pair = Packed(values, indices), Packed(values_t, indices_t)
    if backend == "dense" or (transposed and not transposable):
        backend = "dense"
        dense = as_matrix(keep(weight, mask), layout).to(rows.dtype)
        pair = Packed(dense, indices), Packed(dense.t(), indices_t)
    elif not transposed:
        # Backward multiplies by what forward packed, whatever became of the weight since.
        source = packed_from(values)
        _check_usable(rows, weight, mask, pair[0], backend, source)
        if source is None:
            _recognise(weight, mask, pair, Pattern(n, m, transposable), backend, layout)
    else:
        _check_has_transpose(weight, values_t)
    with torch.autocast(rows.device.type, enabled=False):
        result = BACKENDS[backend].product(_by_rows(rows), pair[transposed], bias, n, m)
    return _in_shape(result, shape)


def _in_shape(result: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    # Not a view for autograd: what else refers to this memory is gone when this returns.
    return torch.ops.aten._unsafe_view(result, shape)  # type: ignore[no-any-return]


def _result_shape(
    rows: torch.Tensor, weight: torch.Tensor, transposed: bool, layout: Layout
) -> tuple[int, ...]:
    return (*rows.shape[:-1], weight.shape[int(transposed != (layout == "in_out"))])


def _check_usable(
    rows: torch.Tensor,
    weight: torch.Tensor,
    mask: torch.Tensor,
    packed: Packed,
    backend: str,
    source: PackedFrom | None,
) -> None:
    if packed.values.numel() == 0 and weight.numel() > 0:
        raise RuntimeError(
            "a sparse layer was compiled before it was packed; expected a packed one: run "
            "one forward pass before torch.compile, which packs or says what is in the way"
        )
    owner = _SOME_OWNER if source is None else source.owner
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


def _check_has_transpose(weight: torch.Tensor, values_t: torch.Tensor) -> None:
    if values_t.numel() == 0 and weight.numel() > 0:
        raise RuntimeError(
            "a layer compiled in evaluation has not packed the transpose, which gradients by the "
            "input need; expected train(), or one forward pass with gradients before torch.compile"
        )


@torch.no_grad()
def _recognise(
    weight: torch.Tensor,
    mask: torch.Tensor,
    packed: PackedPair,
    pattern: Pattern,
    backend: str,
    layout: Layout,
) -> None:
    """Take packed tensors that somebody moved, cloned or loaded, if they are those of the weight.

    Nothing else is known of them, so the weight is packed once more to compare.
    """
    dtype = BACKENDS[backend].dtype_of(packed[0])
    matrix = as_matrix(weight.detach(), layout).to(dtype)
    out_features, in_features = matrix.shape
    spec = LinearSpec(out_features, in_features, pattern, weight.device, dtype)
    both = packed[1].values.numel() > 0
    expected = BACKENDS[backend].pack(matrix, as_matrix(mask, layout), spec, both=both)
    given = [tensor for one in packed for tensor in one]
    if not all(map(_same_bytes, given, [tensor for one in expected for tensor in one])):
        raise RuntimeError(
            f"{_SOME_OWNER}: what is packed was moved or cloned, and is not the present weight and "
            "mask; expected a call of repack() after weights change"
        )
    remember(packed[0].values, weight, mask, _SOME_OWNER)


def _same_bytes(one: torch.Tensor, other: torch.Tensor) -> bool:
    if (one.shape, one.dtype, one.device) != (other.shape, other.dtype, other.device):
        return False
    # NaN is equal to itself here.
    return torch.equal(one.contiguous().view(torch.uint8), other.contiguous().view(torch.uint8))


_product = torch.library.custom_op(
    "tnm_core::masked_product", _multiplied, mutates_args=(), schema=_SCHEMA
)


@_product.register_fake
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
    *pattern, backend, transposed, masked_gradient, layout = ctx.options
    by_rows, by_weight, _, by_bias = ctx.needs_input_grad[:4]
    rows_gradient = weight_gradient = bias_gradient = None
    if by_rows:
        options = (*pattern, backend, not transposed, masked_gradient, layout)
        rows_gradient = _product(gradient, weight, mask, None, *packed, *options)
    if by_weight:
        left, right = (rows, gradient) if transposed else (gradient, rows)
        weight_gradient = (_by_rows(left).t() @ _by_rows(right)).to(weight.dtype)
        weight_gradient = like_weight(weight_gradient, weight, layout)
        if masked_gradient:
            weight_gradient = keep(weight_gradient, mask)
    if by_bias:
        bias_gradient = _by_rows(gradient).sum(0)
    return (rows_gradient, weight_gradient, None, bias_gradient, *(None,) * 11)


def _by_rows(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(-1, tensor.shape[-1])


_product.register_autograd(_backward, setup_context=_setup_context)
