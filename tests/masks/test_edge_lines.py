"""Edge tiles no higher, or no wider, than n: each line keeps its n largest positive scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnm_core as tnm


def largest_of_each_row(scores: np.ndarray, n: int) -> np.ndarray:
    """Keep the n largest positive scores of every row, of equal ones the first."""
    kept: np.ndarray = np.zeros(scores.shape, dtype=np.bool_)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    np.put_along_axis(kept, order, True, axis=1)
    kept &= scores > 0
    return kept


def expected_mask(scores: np.ndarray, n: int) -> np.ndarray:
    if scores.shape[0] <= n:
        return largest_of_each_row(scores, n)
    by_columns: np.ndarray = largest_of_each_row(scores.T, n).T
    return by_columns


def make_scores(shape: tuple[int, int], kind: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "normal":
        return rng.standard_normal(shape)
    if kind == "few values":
        return rng.integers(-2, 3, shape).astype(np.float64)
    return rng.standard_normal(shape) * 10.0 ** rng.integers(-150, 150, shape)


@given(
    m=st.integers(2, 128),
    data=st.data(),
    kind=st.sampled_from(["normal", "few values", "many magnitudes"]),
    seed=st.integers(0, 1000),
)
def test_lines_keep_their_largest(m: int, data: st.DataObject, kind: str, seed: int) -> None:
    n = data.draw(st.integers(1, m - 1))
    short, long = data.draw(st.integers(1, n)), data.draw(st.integers(1, m))
    for shape in ((short, long), (long, short)):
        scores = make_scores(shape, kind, seed)
        mask, certificate = tnm.transposable_mask(
            scores, n, m, score="identity", return_certificate=True
        )
        np.testing.assert_array_equal(mask, expected_mask(scores, n))
        np.testing.assert_array_equal(mask, tnm.transposable_mask(scores, n, m, score="identity"))
        certificate.verify(scores, mask)


@pytest.mark.parametrize("dtype", ["int8", "float16", "float32"])
def test_edges_of_a_matrix(dtype: str) -> None:
    scores = (make_scores((36, 44), "few values", 1)).astype(dtype)
    mask = tnm.transposable_mask(scores, 16, 32, score="identity")
    np.testing.assert_array_equal(mask[32:, :32], expected_mask(scores[32:, :32], 16))
    np.testing.assert_array_equal(mask[:32, 32:], expected_mask(scores[:32, 32:], 16))
    np.testing.assert_array_equal(mask[32:, 32:], expected_mask(scores[32:, 32:], 16))


def test_sums_of_the_largest_scores_do_not_overflow() -> None:
    scores = np.full((3, 8), 1.5e308)
    mask, certificate = tnm.transposable_mask(scores, 4, 8, return_certificate=True)
    np.testing.assert_array_equal(mask, expected_mask(scores, 4))
    assert np.isfinite(certificate.row_prices).all()
