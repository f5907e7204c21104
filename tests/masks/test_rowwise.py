"""Row-wise N:M masks against a naive reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tnm_core as tnm
from tests.support import references
from tests.support.arrays import DISTRIBUTIONS, DTYPES, make_array
from tests.support.strategies import Case, cases
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
