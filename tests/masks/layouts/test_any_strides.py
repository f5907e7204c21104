"""Any strides, of the weights and of `out`: the mask of a contiguous float64 copy.

Copies are made block by block, along whichever axis is contiguous; shapes reach over several blocks
and past their ends.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tnm_core as tnm
from tests.support.arrays import DTYPES, make_values

PATTERNS = [(1, 4), (2, 4), (3, 4), (2, 5), (4, 8), (5, 12), (8, 16), (9, 20), (16, 32), (32, 64)]


def strided(
    shape: tuple[int, ...],
    dtype: np.dtype,
    order: tuple[int, ...],
    steps: tuple[int, ...],
    gap: int,
) -> np.ndarray:
    """Give an empty array whose axes lie in memory in that order, some backwards or with steps."""
    backing: np.ndarray = np.zeros([shape[axis] * abs(steps[axis]) + gap for axis in order], dtype)
    view = backing.transpose(np.argsort(order))
    window: np.ndarray = view[tuple(
        slice(0, size * step, step) if step > 0 else slice(size * -step - 1, None, step)
        for size, step in zip(shape, steps, strict=True)
    )]  # fmt: skip
    return window


@st.composite
def layouts(draw: st.DrawFn, rank: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Draw an order of axes, the step along each, and how much longer each is in memory."""
    order = tuple(draw(st.permutations(range(rank))))
    steps = tuple(draw(st.sampled_from([1, 1, 1, -1, 2, -2, 3])) for _ in range(rank))
    return order, steps, draw(st.sampled_from([0, 0, 1]))


@st.composite
def shapes(draw: st.DrawFn, m: int) -> tuple[int, ...]:
    batch = draw(st.sampled_from([(), (), (3,), (9,), (40,), (2, 3), (3, 1, 2)]))
    rows, columns = draw(st.integers(1, 3 * m + 5)), draw(st.integers(1, 3 * m + 70))
    return (*batch, rows, columns) if draw(st.booleans()) else (*batch, m, m)


def assert_same_as_contiguous(array: np.ndarray, out: np.ndarray | None, n: int, m: int) -> None:
    contiguous = np.ascontiguousarray(array, np.float64)
    expected = tnm.transposable_mask(contiguous, n, m, threads=1)
    for threads in (1, 3):
        mask = tnm.transposable_mask(array, n, m, out=out, threads=threads)
        np.testing.assert_array_equal(mask, expected)
    rows = tnm.nm_mask(array, n, m, out=out)
    np.testing.assert_array_equal(rows, tnm.nm_mask(contiguous, n, m))


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.data())
def test_any_strides(data: st.DataObject) -> None:
    n, m = data.draw(st.sampled_from(PATTERNS))
    shape = data.draw(shapes(m))
    dtype = data.draw(st.sampled_from([name for name in DTYPES if "int64" not in name]))
    kind = data.draw(st.sampled_from(["normal", "normal", "ties", "sparse"]))
    values = make_values(np.random.default_rng(data.draw(st.integers(0, 99))), shape, dtype, kind)
    array = strided(shape, values.dtype, *data.draw(layouts(len(shape))))
    array[...] = values
    out = owner = None
    if data.draw(st.booleans()):
        out = strided(shape, np.dtype(bool), *data.draw(layouts(len(shape))))
        owner = out.base
        assert owner is not None
        owner[...] = True
    assert_same_as_contiguous(array, out, n, m)
    np.testing.assert_array_equal(array, values)
    if out is not None and owner is not None:
        out[...] = True
        assert owner.all(), "flags were written beside `out`"


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0), (2, 1, 0), (0, 2, 1)])
@pytest.mark.parametrize("out_order", [(0, 1, 2), (0, 2, 1), (1, 2, 0)])
def test_large(order: tuple[int, ...], out_order: tuple[int, ...]) -> None:
    shape = (66, 70, 331)
    for name in ("float32", "float16"):
        values = make_values(np.random.default_rng(1), shape, name, "normal")
        array = strided(shape, values.dtype, order, (1, 1, 1), 0)
        array[...] = values
        out = strided(shape, np.dtype(bool), out_order, (1, 1, 1), 0)
        for n, m in [(2, 4), (4, 8), (3, 6)]:
            assert_same_as_contiguous(array, out, n, m)


@pytest.mark.parametrize("axis", range(4))
def test_broadcast(axis: int) -> None:
    shape = [5, 3, 70, 133]
    shape[axis] = 1
    values = make_values(np.random.default_rng(2), tuple(shape), "float32", "normal")
    array = np.broadcast_to(values, (5, 3, 70, 133))
    for n, m in [(2, 4), (4, 8)]:
        assert_same_as_contiguous(array, None, n, m)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (0, 2, 1)])
def test_proofs_belong_to_their_tiles(order: tuple[int, ...]) -> None:
    values = make_values(np.random.default_rng(3), (20, 30, 70), "float32", "normal")
    array = strided(values.shape, values.dtype, order, (1, -1, 1), 0)
    array[...] = values
    out = strided(values.shape, np.dtype(bool), order, (1, 1, -1), 0)
    for n, m in [(2, 4), (4, 8)]:
        expected, proof = tnm.transposable_mask(values, n, m, return_certificate=True)
        mask, found = tnm.transposable_mask(array, n, m, out=out, return_certificate=True)
        np.testing.assert_array_equal(mask, expected)
        np.testing.assert_array_equal(found.row_prices, proof.row_prices)
        found.verify(array, mask)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (0, 2, 1), (2, 1, 0)])
@pytest.mark.parametrize("step", [1, -1, 2])
def test_first_non_finite_is_named(order: tuple[int, ...], step: int) -> None:
    array = strided((4, 90, 70), np.dtype(np.float32), order, (1, step, step), 0)
    array[...] = 1.0
    array[1, 40, 30] = np.nan
    array[2, 3, 5] = np.inf
    out = np.ones(array.shape, dtype=bool)
    for n, m in [(2, 4), (4, 8)]:
        with pytest.raises(ValueError, match=r"array\[1, 40, 30\] is nan"):
            tnm.transposable_mask(array, n, m, out=out)
        with pytest.raises(ValueError, match=r"array\[1, 40, 30\] is nan"):
            tnm.transposable_mask(array, n, m)
    assert out.all()
