"""Row-wise N:M masks against a naive reference."""

from __future__ import annotations

import ctypes
import mmap
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tnm_core as tnm
from tests.support import references
from tests.support.arrays import DISTRIBUTIONS, DTYPES, dtype_of, make_array
from tests.support.strategies import Case, cases, scores_for
from tests.support.tiles import kept_score, scores_of


@settings(max_examples=200)
@given(cases(), st.data())
def test_on_anything(case: Case, data: st.DataObject) -> None:
    array = case.array
    before = array.tobytes()
    axis = data.draw(st.integers(-array.ndim, array.ndim - 1), label="axis")
    mask = tnm.nm_mask(array, case.n, case.m, axis=axis, score=case.score)
    assert type(mask) is np.ndarray
    assert mask.dtype == np.bool_
    assert mask.shape == array.shape
    expected = references.nm_mask(scores_of(array, case.score), case.n, case.m, axis)
    np.testing.assert_array_equal(mask, expected)
    assert array.tobytes() == before


def _lie_anyhow(values: np.ndarray, data: st.DataObject, label: str) -> np.ndarray:
    """Copy values so that their axes lie in any order in memory, with gaps, some backwards."""
    axes = range(values.ndim)
    order = data.draw(st.permutations(axes), label=f"order of {label}")
    steps = data.draw(
        st.lists(st.sampled_from([1, 1, 1, -1, 2, -2]), min_size=values.ndim, max_size=values.ndim),
        label=f"steps of {label}",
    )
    shape = [abs(steps[axis]) * values.shape[axis] for axis in axes]
    larger = np.zeros([shape[axis] for axis in order], values.dtype).transpose(np.argsort(order))
    view = larger[tuple(slice(None, None, step) for step in steps)]
    view[...] = values
    return view


@settings(max_examples=150)
@given(st.data())
def test_wherever_groups_lie(data: st.DataObject) -> None:
    """64 groups go side by side: there are more of them here, along one axis or over several."""
    m = data.draw(st.sampled_from([1, 2, 3, 4, 4, 5, 8, 11, 16, 17, 24, 32, 33]), label="m")
    n = data.draw(st.integers(1, m), label="n")
    along = data.draw(st.integers(1, 3 * m + 2), label="along")
    others = data.draw(
        st.sampled_from([(150,), (64,), (5,), (40, 3), (3, 70), (24, 9), (17, 2, 5)]),
        label="others",
    )
    axis = data.draw(st.integers(0, len(others)), label="axis")
    dtype = data.draw(st.sampled_from(DTYPES), label="dtype")
    distribution = data.draw(st.sampled_from(DISTRIBUTIONS), label="distribution")
    score = data.draw(scores_for(dtype, distribution), label="score")
    values = make_array((*others[:axis], along, *others[axis:]), dtype, distribution, seed=m + n)
    out = _lie_anyhow(np.ones(values.shape, dtype=bool), data, "out")
    array = _lie_anyhow(values, data, "array")
    tnm.nm_mask(array, n, m, axis=axis, score=score, out=out)
    expected = references.nm_mask(scores_of(values, score), n, m, axis)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect of Linux")
@pytest.mark.parametrize("dtype", ["int8", "float16", "float32", "float64"])
def test_reads_nothing_beyond_the_array(dtype: str) -> None:
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 3 * page)
    start = np.frombuffer(memory, dtype=np.uint8).ctypes.data
    protect = ctypes.CDLL(None).mprotect
    for guard in (start, start + 2 * page):
        assert protect(ctypes.c_void_p(guard), ctypes.c_size_t(page), 0) == 0
    whole = np.frombuffer(
        memory, dtype=dtype_of(dtype), count=page // dtype_of(dtype).itemsize, offset=page
    )
    whole[...] = make_array(whole.shape, dtype, seed=1)
    for n, m in ((1, 2), (2, 3), (2, 4), (3, 7), (4, 8)):
        for rows in (1, 2, 9):
            columns = whole.size // rows
            for array in (whole[: rows * columns], whole[whole.size - rows * columns :]):
                for matrix in (array.reshape(rows, columns), array.reshape(columns, rows).T):
                    for view in (matrix, matrix[::-1, ::-1]):
                        for axis in (0, 1):
                            np.testing.assert_array_equal(
                                tnm.nm_mask(view, n, m, axis=axis),
                                tnm.nm_mask(view.astype(np.float64), n, m, axis=axis),
                            )
    assert protect(ctypes.c_void_p(start), ctypes.c_size_t(3 * page), 3) == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_any_score_that_is_not_finite_is_named(dtype: str, axis: int, bad: float) -> None:
    for n, m in ((2, 4), (4, 4), (3, 8), (5, 33)):
        for shape in ((70, 70), (3, 150), (150, 3)):
            array = make_array(shape, dtype, seed=m)
            row, column = np.unravel_index((7919 * m) % array.size, shape)
            for score in ("abs", "square", "identity"):
                tnm.nm_mask(array, n, m, axis=axis, score=score)
            array[row, column] = bad
            for score in ("abs", "square", "identity"):
                with pytest.raises(ValueError, match=rf"array\[{row}, {column}\]"):
                    tnm.nm_mask(array, n, m, axis=axis, score=score)


def test_nothing_but_the_array_need_be_finite() -> None:
    """Groups are read in chunks, together with what lies between them."""
    backing = np.full((70, 200), np.nan, dtype=np.float32)
    for n, m in ((2, 3), (2, 4), (3, 5), (4, 8)):
        for step in (1, 2):
            window = backing[3:67, 5 : 5 + 33 * step : step]
            window[...] = make_array(window.shape, seed=m)
            for axis in (0, 1):
                np.testing.assert_array_equal(
                    tnm.nm_mask(window, n, m, axis=axis),
                    tnm.nm_mask(window.copy(), n, m, axis=axis),
                )
            backing[...] = np.nan


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_dtypes_and_axes(dtype: str, distribution: str, axis: int) -> None:
    array = make_array((16, 24, 9), dtype, distribution, seed=axis)
    for n, m in ((2, 4), (4, 8), (3, 16)):
        expected = references.nm_mask(scores_of(array), n, m, axis)
        np.testing.assert_array_equal(tnm.nm_mask(array, n, m, axis=axis), expected)


@pytest.mark.parametrize(
    ("n", "m"), [(1, 32), (16, 32), (20, 64), (64, 128), (128, 128), (99, 101)]
)
def test_large_groups(n: int, m: int) -> None:
    for distribution in ("normal", "ties", "constant"):
        array = make_array((5, 2 * m + 3), "float32", distribution, seed=m)
        expected = references.nm_mask(scores_of(array), n, m, -1)
        np.testing.assert_array_equal(tnm.nm_mask(array, n, m), expected)


def test_one_dimension() -> None:
    array = np.array([3, -4, 1, 2, 9, 0, -9, 9])
    expected = np.array([1, 1, 0, 0, 1, 0, 1, 0], dtype=bool)
    np.testing.assert_array_equal(tnm.nm_mask(array, 2, 4), expected)
    np.testing.assert_array_equal(tnm.nm_mask(array, 2, 4, axis=0), expected)


def test_ties_go_to_the_lowest_index() -> None:
    np.testing.assert_array_equal(
        tnm.nm_mask(np.ones((3, 8)), 2, 4), np.tile([True, True, False, False], (3, 2))
    )
    np.testing.assert_array_equal(
        tnm.nm_mask(np.zeros((4, 2)), 1, 4, axis=0), np.arange(4)[:, None] == [0, 0]
    )
    # -2 and 2 tie by magnitude, 0.0 and -0.0 in every score.
    np.testing.assert_array_equal(
        tnm.nm_mask(np.array([[-2.0, 2.0, -0.0, 0.0]]), 3, 4), [[True, True, True, False]]
    )


@pytest.mark.parametrize("score", ["abs", "square", "identity"])
def test_scores(score: str) -> None:
    array = np.array([[-3.0, 1.0, 2.0, -0.5]])
    expected = {"abs": [1, 0, 1, 0], "square": [1, 0, 1, 0], "identity": [0, 1, 1, 0]}[score]
    np.testing.assert_array_equal(tnm.nm_mask(array, 2, 4, score=score)[0], np.array(expected) > 0)


@pytest.mark.parametrize(("n", "m"), [(2, 4), (4, 8), (8, 16)])
def test_keeps_more_than_the_transposable_optimum(n: int, m: int) -> None:
    array = make_array((128, 128), seed=m)
    scores = scores_of(array)
    row_wise = kept_score(scores, tnm.nm_mask(array, n, m))
    assert row_wise >= kept_score(scores, tnm.transposable_mask(array, n, m))


def test_default_axis_is_the_last() -> None:
    array = make_array((8, 12))
    np.testing.assert_array_equal(tnm.nm_mask(array, 2, 4), tnm.nm_mask(array, 2, 4, axis=1))
    np.testing.assert_array_equal(tnm.nm_mask(array, 2, 4, axis=0), tnm.nm_mask(array.T, 2, 4).T)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_out(axis: int) -> None:
    array = make_array((12, 10), layout="fortran")
    expected = references.nm_mask(scores_of(array), 2, 4, axis)
    backing = np.ones((24, 30), dtype=bool)
    out = backing[::2, 1::3]
    assert tnm.nm_mask(array, 2, 4, axis=axis, out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert backing[1::2].all()
    assert backing[:, 0::3].all()
    assert backing[:, 2::3].all()


@pytest.mark.parametrize("shape", [(0,), (0, 4), (4, 0), (2, 0, 3)])
def test_empty(shape: tuple[int, ...]) -> None:
    for axis in range(len(shape)):
        assert tnm.nm_mask(np.zeros(shape), 2, 4, axis=axis).shape == shape


def test_threads_do_not_change_the_mask() -> None:
    array = make_array((300, 500), distribution="ties")
    masks = [tnm.nm_mask(array, 3, 8, threads=threads) for threads in (1, 2, 7)]
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], masks[2])
