"""Bad input: the right exception, what came and what was expected, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tnm_core as tnm
from tests.support.arrays import dtype_of, make_array
from tests.support.products.cases import DTYPES, make_mask
from tnm_core import products

WEIGHTS = make_array((6, 8))
MASK = make_mask("half", (6, 8))
X = make_array((5, 8), seed=1)
PACKED = tnm.pack(WEIGHTS, MASK)
OTHER_DTYPES = ["float64", "int8", "int32", "uint16", "bool", "complex64", ">f4", "longdouble"]


def _assert_refused(call: Callable[[], Any], error: type[Exception], *told: object) -> None:
    """Raise exactly this kind of error, in one line that mentions all of `told`."""
    with pytest.raises(error) as caught:
        call()
    assert caught.type in (TypeError, ValueError), "a plain TypeError or ValueError"
    message = str(caught.value)
    assert "\n" not in message
    assert "expected" in message
    for part in told:
        assert str(part) in message, f"{part!r} is not mentioned in {message!r}"


# ---- packing ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", OTHER_DTYPES)
def test_dtype_of_weights(dtype: str) -> None:
    weights = WEIGHTS.astype(dtype)
    _assert_refused(lambda: tnm.pack(weights), TypeError, weights.dtype, "float32", "astype")
    _assert_refused(lambda: tnm.pack(weights, MASK), TypeError, weights.dtype, "float32")
    _assert_refused(lambda: products.pack_buffer(weights, MASK), TypeError, weights.dtype)


@pytest.mark.parametrize("shape", [(), (8,), (2, 6, 8)])
def test_axes_of_weights(shape: tuple[int, ...]) -> None:
    weights = np.ones(shape, dtype=np.float32)
    _assert_refused(lambda: tnm.pack(weights), ValueError, shape, "two axes")
    _assert_refused(lambda: tnm.pack(weights, MASK), ValueError, shape, "two axes")


@pytest.mark.parametrize("shape", [(8, 6), (6, 7), (5, 8), (1, 8), (6, 1), (1, 6, 8)])
def test_shape_of_mask(shape: tuple[int, ...]) -> None:
    mask = np.ones(shape, dtype=bool)
    _assert_refused(lambda: tnm.pack(WEIGHTS, mask), ValueError, shape, (6, 8), "mask")
    _assert_refused(lambda: products.pack_buffer(WEIGHTS, mask), ValueError, shape, (6, 8))


def test_values_of_mask() -> None:
    for integers in (MASK * 2, -MASK.astype(int)):
        with pytest.raises(ValueError, match="integers other than 0 and 1"):
            tnm.pack(WEIGHTS, integers)
    for other in (MASK.astype(float), WEIGHTS, MASK.astype(str), MASK.astype(object)):
        _assert_refused(lambda m=other: tnm.pack(WEIGHTS, m), TypeError, "mask", "bool")
    _assert_refused(lambda: tnm.pack(WEIGHTS, MASK[0]), ValueError, (8,))


# ---- products -------------------------------------------------------------------------


def _assert_nothing_written(call: Callable[..., Any], out: Any, error: Any, *told: object) -> None:
    """Refuse a call of `matmul`, whose `out` is as it was then."""
    before = out.copy()
    packed = PACKED.toarray().tobytes()
    _assert_refused(lambda: call(out=out), error, *told)
    np.testing.assert_array_equal(out, before)
    assert PACKED.toarray().tobytes() == packed


def _out(*shape: int) -> np.ndarray:
    return np.full(shape or (5, 6), 7, dtype=np.float32)


@pytest.mark.parametrize("dtype", [*OTHER_DTYPES, "float16", "bfloat16"])
def test_dtype_of_x(dtype: str) -> None:
    x = X.astype(dtype_of(dtype))

    def call(out: np.ndarray) -> Any:
        return tnm.matmul(x, PACKED.T, out=out)

    _assert_nothing_written(call, _out(), TypeError, x.dtype, "float32", "x has")
    _assert_refused(lambda: x @ PACKED.T, TypeError, x.dtype, "float32")
    _assert_refused(lambda: x[:, :6] @ PACKED, TypeError, x.dtype, "float32")


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_do_not_mix(dtype: str) -> None:
    packed = tnm.pack(WEIGHTS.astype(dtype_of(dtype)), MASK)
    for other in set(DTYPES) - {dtype}:
        x = X.astype(dtype_of(other))
        _assert_refused(lambda p=packed, x=x: x @ p.T, TypeError, dtype, other, "convert")
        weights = WEIGHTS.astype(dtype_of(other))
        _assert_refused(lambda p=packed, w=weights: p.update_(w), TypeError, dtype, other)


@pytest.mark.parametrize("shape", [(5, 7), (5, 9), (8, 5), (6,), (7,), (0,), (2, 3, 1), (5, 0)])
def test_shape_of_x(shape: tuple[int, ...]) -> None:
    x = np.ones(shape, dtype=np.float32)

    def call(out: np.ndarray) -> Any:
        return tnm.matmul(x, PACKED.T, out=out)

    _assert_nothing_written(call, _out(*shape[:-1], 6), ValueError, shape, "(..., 8)")
    if shape[-1] != 6:
        _assert_refused(lambda: x @ PACKED, ValueError, shape, "(..., 6)")


def test_x_without_axes() -> None:
    _assert_refused(lambda: tnm.matmul(np.float32(1), PACKED.T), ValueError, "()", "(..., 8)")


@pytest.mark.parametrize("other", [WEIGHTS, None, "packed", 3, WEIGHTS.tolist()])
def test_what_is_multiplied_by(other: object) -> None:
    _assert_refused(lambda: tnm.matmul(X, other), TypeError, type(other).__name__, "pack(")


def test_products_from_the_left_do_not_exist() -> None:
    for call in (lambda: PACKED @ X.T, lambda: PACKED.T @ X, lambda: PACKED.T @ PACKED):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("shape", [(5, 7), (6, 5), (4, 6), (6,), (1, 5, 6), (30,)])
def test_shape_of_out(shape: tuple[int, ...]) -> None:
    def call(out: np.ndarray) -> Any:
        return tnm.matmul(X, PACKED.T, out=out)

    _assert_nothing_written(call, _out(*shape), ValueError, shape, (5, 6), "out")


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "int32", ">f4"])
def test_dtype_of_out(dtype: str) -> None:
    out = np.full((5, 6), 7, dtype=dtype_of(dtype))

    def call(out: np.ndarray) -> Any:
        return tnm.matmul(X, PACKED.T, out=out)

    _assert_nothing_written(call, out, TypeError, out.dtype, "float32", "out")


def test_out_that_cannot_be_written() -> None:
    def call(out: np.ndarray) -> Any:
        return tnm.matmul(X, PACKED.T, out=out)

    out = _out()
    out.flags.writeable = False
    _assert_nothing_written(call, out, ValueError, "read-only")
    repeated = np.lib.stride_tricks.as_strided(_out(6), (5, 6), (0, 4))
    _assert_nothing_written(call, repeated, ValueError, "stride of 0")
    for other in (_out().tolist(), 3, "out"):
        _assert_refused(lambda o=other: call(o), TypeError, type(other).__name__, "out")


def test_out_that_overlaps() -> None:
    memory = make_array((20, 8), seed=3)
    bias = np.zeros(6, dtype=np.float32)
    for x, out, bias_of, told in [
        (memory[:5], memory[:5, :6], None, "x"),
        (memory[:5], memory[4:9, 2:], None, "x"),
        (memory[4::-1], memory[2:7, :6], None, "x"),
        (memory[:5], memory[5:10, :6], memory[9, :6], "bias"),
    ]:
        before = memory.copy()
        _assert_refused(
            lambda x=x, o=out, b=bias_of: tnm.matmul(x, PACKED.T, out=o, bias=b),
            ValueError,
            f"out overlaps {told}",
        )
        np.testing.assert_array_equal(memory, before)
    # Rows in turns share no element.
    got = tnm.matmul(memory[:10:2], PACKED.T, out=memory[1:11:2, :6], bias=bias)
    np.testing.assert_array_equal(got, memory[:10:2] @ PACKED.T)


def test_out_that_is_the_packed_matrix() -> None:
    buffer = products.pack_buffer(WEIGHTS, MASK)
    out = buffer[64 : 64 + 120].view(np.float32).reshape(5, 6)
    before = buffer.copy()
    _assert_refused(
        lambda: products.multiply_buffer(buffer, X, out), ValueError, "overlaps the packed matrix"
    )
    np.testing.assert_array_equal(buffer, before)


@pytest.mark.parametrize("shape", [(5,), (8,), (), (1, 6), (5, 6), (1,)])
def test_shape_of_bias(shape: tuple[int, ...]) -> None:
    def call(out: np.ndarray) -> Any:
        return tnm.matmul(X, PACKED.T, out=out, bias=np.ones(shape, dtype=np.float32))

    _assert_nothing_written(call, _out(), ValueError, shape, "(6,)", "bias")


@pytest.mark.parametrize("dtype", ["bool", "complex64", "object", "str"])
def test_dtype_of_bias(dtype: str) -> None:
    bias = np.ones(6).astype(dtype)

    def call(out: np.ndarray) -> Any:
        return tnm.matmul(X, PACKED.T, out=out, bias=bias)

    _assert_nothing_written(call, _out(), TypeError, bias.dtype, "bias")


@pytest.mark.parametrize(
    ("activation", "error"),
    [
        *((name, ValueError) for name in ("none", "ReLU", "tanh", "")),
        *((other, TypeError) for other in (3, np.tanh, True)),
    ],
)
def test_activation(activation: Any, error: type[Exception]) -> None:
    def call(out: np.ndarray) -> Any:
        return tnm.matmul(X, PACKED.T, out=out, activation=activation)

    _assert_nothing_written(call, _out(), error, "activation", "'gelu_tanh'")


@pytest.mark.parametrize(
    ("threads", "error"),
    [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError), (True, TypeError)],
)
def test_threads(threads: Any, error: type[Exception]) -> None:
    def call(out: np.ndarray) -> Any:
        return tnm.matmul(X, PACKED.T, out=out, threads=threads)

    _assert_nothing_written(call, _out(), error, "threads", threads)


# ---- new values -----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8, 6), (6, 7), (7, 8), (48,), (1, 6, 8), ()])
def test_shape_of_new_weights(shape: tuple[int, ...]) -> None:
    packed = tnm.pack(WEIGHTS, MASK)
    X[:, :6] @ packed
    weights = np.ones(shape, dtype=np.float32)
    _assert_refused(lambda: packed.update_(weights), ValueError, shape, (6, 8))
    np.testing.assert_array_equal(packed.toarray(), WEIGHTS * MASK)
    assert (X @ packed.T).tobytes() == (X @ PACKED.T).tobytes()


@pytest.mark.parametrize("dtype", OTHER_DTYPES)
def test_dtype_of_new_weights(dtype: str) -> None:
    packed = tnm.pack(WEIGHTS, MASK)
    weights = np.ones((6, 8)).astype(dtype)
    _assert_refused(lambda: packed.update_(weights), TypeError, weights.dtype, "float32")
    np.testing.assert_array_equal(packed.toarray(), WEIGHTS * MASK)


# ---- what is unusual and fine -----------------------------------------------------------


def test_lists_of_numpy_numbers() -> None:
    rows = [list(row) for row in X]
    np.testing.assert_array_equal(rows @ PACKED.T, X @ PACKED.T)
    packed = tnm.pack([list(row) for row in WEIGHTS * MASK])
    np.testing.assert_array_equal(packed.toarray(), WEIGHTS * MASK)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0, 8), (6, 0), (0, 0), (6, 8)])
def test_nothing_to_multiply(shape: tuple[int, int], dtype: str) -> None:
    """Sides of length 0, no tokens, or no entry that is kept."""
    weights = np.zeros(shape, dtype=dtype_of(dtype))
    packed = tnm.pack(weights)
    assert packed.nnz == packed.density == 0
    for lead in [(0,), (1,), (5,), (20,), (), (2, 0), (0, 3), (2, 3)]:
        forward = np.ones((*lead, shape[1]), dtype=weights.dtype) @ packed.T
        backward = np.ones((*lead, shape[0]), dtype=weights.dtype) @ packed
        for got, side in [(forward, shape[0]), (backward, shape[1])]:
            np.testing.assert_array_equal(got, np.zeros((*lead, side)))
            assert got.dtype == weights.dtype
