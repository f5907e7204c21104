"""Scores that float64 does not hold, against integers and fractions."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tnm_core as tnm

RNG_SEED = 20
SCORES: list[Any] = ["abs", "square", "identity"]
METHODS: list[Any] = ["two_approximation", "greedy"]
TINY, LARGE = 2.0**-500, 2.0**600


def exact_scores(array: np.ndarray, score: str) -> np.ndarray:
    """Give the score of every entry as a fraction."""
    exact = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        value = Fraction(array[index].item())
        exact[index] = {"abs": abs(value), "square": value * value, "identity": value}[score]
    return exact


def all_masks(rows: int, columns: int, n: int, full: bool) -> np.ndarray:
    """List the masks of a tile, flattened: exactly n a row and column, or at most n."""
    counts = [n] if full else range(n + 1)
    lines = [
        tuple(int(j in kept) for j in range(columns))
        for count in counts
        for kept in itertools.combinations(range(columns), count)
    ]
    masks = np.array(list(itertools.product(lines, repeat=rows)))
    in_columns = masks.sum(axis=1)
    wanted = (in_columns == n).all(axis=1) if full else (in_columns <= n).all(axis=1)
    return np.asarray(masks[wanted].reshape(-1, rows * columns))


def wide_integers(dtype: Any, shape: tuple[int, int], rng: np.random.Generator) -> list[np.ndarray]:
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    small = rng.integers(0, 100, shape).astype(dtype)
    ends = np.array([low, low + 1, high, high - 1, 0, 1, high // 2 + 1], dtype=dtype)
    return [
        high - small,
        low + small,
        np.asarray(high // 8 + 1 + small, dtype=dtype),
        rng.integers(low, high, shape, dtype=dtype, endpoint=True),
        rng.choice(ends, shape),
        high // 2**11 - small,
        np.where(rng.random(shape) < 0.5, small, high - small),
    ]


def floats(shape: tuple[int, int], rng: np.random.Generator) -> list[np.ndarray]:
    normal = rng.standard_normal(shape)
    near_one = 1 + rng.integers(0, 9, shape) * 2.0**-52
    return [normal, near_one, near_one * TINY, normal * 1e-310, normal * LARGE, near_one * LARGE]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32", "uint32", "float64"])
@pytest.mark.parametrize(("shape", "n", "m"), [((4, 4), 2, 4), ((3, 3), 1, 3), ((2, 3), 1, 4)])
def test_against_brute_force(
    dtype: str, score: Any, shape: tuple[int, int], n: int, m: int
) -> None:
    """The mask scores as much as any, in exact arithmetic, and its certificate holds."""
    rng = np.random.default_rng(RNG_SEED)
    made = floats(shape, rng) if dtype == "float64" else wide_integers(dtype, shape, rng)
    masks = all_masks(*shape, n, full=shape == (m, m))
    for array in made:
        exact = exact_scores(array, score)
        mask, proof = tnm.transposable_mask(array, n, m, score=score, return_certificate=True)
        totals = masks.astype(object) @ exact.ravel()
        assert exact[mask].sum() == totals.max(), array
        assert proof.worst_gap <= 1e-9
        proof.verify(array, mask)
        assert (tnm.transposable_mask(array, n, m, score=score) == mask).all()


@pytest.mark.parametrize(("n", "m"), [(2, 4), (4, 8), (8, 16), (7, 20), (16, 32), (40, 70)])
@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_prices_prove_close_integers(dtype: str, n: int, m: int) -> None:
    """Prices of integers close together prove the mask without a gap, in exact arithmetic."""
    rng = np.random.default_rng(RNG_SEED)
    array = (2**62 + rng.integers(0, 1000, (m, m))).astype(dtype)
    mask, proof = tnm.transposable_mask(array, n, m, return_certificate=True)
    rows = [Fraction(price) for price in proof.row_prices[0, 0].tolist()]
    columns = [Fraction(price) for price in proof.column_prices[0, 0].tolist()]
    shifted = exact_scores(array, "abs") - Fraction(proof.offset[0, 0])
    bound = n * (sum(rows) + sum(columns))
    for (i, j), score in np.ndenumerate(shifted):
        bound += max(Fraction(0), score - rows[i] - columns[j])
    assert bound == shifted[mask].sum()
    assert proof.worst_gap == 0.0


def test_the_best_of_large_integers() -> None:
    """What one hundred more is worth at 2**60."""
    pattern = tnm.transposable_mask(np.random.default_rng(0).random((4, 4)), 2, 4)
    array = np.full((4, 4), 2**60) + 100 * pattern
    mask, proof = tnm.transposable_mask(array, 2, 4, return_certificate=True)
    np.testing.assert_array_equal(mask, pattern)
    proof.verify(array, mask, tolerance=0.0)
    with pytest.raises(ValueError, match="does not reach the bound"):
        proof.verify(array, ~pattern)


def test_an_edge_tile_has_no_offset() -> None:
    """At most n, not exactly: there it would change which mask is best."""
    array = np.full((5, 4), 2**60 + 1)
    mask, proof = tnm.transposable_mask(array, 2, 4, return_certificate=True)
    assert proof.offset.tolist() == [[2.0**60], [0.0]]
    proof.verify(array, mask)
    proof.offset[1, 0] = 2.0**60
    with pytest.raises(ValueError, match=r"tile \(1, 0\): an edge tile has an offset"):
        proof.verify(array, mask)


@pytest.mark.parametrize("size", [TINY, LARGE])
def test_certificates_of_squares_beyond_float64(size: float) -> None:
    """Prices in units of a power of two tell squares apart that float64 takes for 0 or infinity."""
    array = np.arange(1, 17).reshape(4, 4) * size
    mask, proof = tnm.transposable_mask(array, 2, 4, score="square", return_certificate=True)
    np.testing.assert_array_equal(mask, tnm.transposable_mask(array / size, 2, 4, score="square"))
    assert proof.exponent[0, 0] != 0
    proof.verify(array, mask)
    with pytest.raises(ValueError, match="does not hold"):
        proof.verify(array, ~mask)


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32", "float64"])
@pytest.mark.parametrize("m", [4, 5, 8, 66])
def test_ranks(dtype: str, m: int) -> None:
    """Methods that rank give exact scores the masks of their places in order."""
    rng = np.random.default_rng(RNG_SEED)
    shape, n = (m + 1, m + 3 if m > 8 else 2 * m + 1), m // 2
    made = floats(shape, rng) if dtype == "float64" else wide_integers(dtype, shape, rng)
    for array, score in itertools.product(made if m < 66 else made[-1:], SCORES):
        exact = exact_scores(array, score)
        places = {value: place for place, value in enumerate(sorted({0, *exact.ravel()}))}
        ranks = np.vectorize(places.get, otypes=[np.float64])(exact) - places[0]
        np.testing.assert_array_equal(
            tnm.nm_mask(array, n, m, score=score), tnm.nm_mask(ranks, n, m, score="identity")
        )
        for method in METHODS:
            options: dict[str, Any] = {"method": method, "complete": False}
            np.testing.assert_array_equal(
                tnm.transposable_mask(array, n, m, score=score, **options),
                tnm.transposable_mask(ranks, n, m, score="identity", **options),
            )


def test_completed_approximations_of_large_integers() -> None:
    """Exchanges are weighed less the offset: as those of the same differences without it."""
    small = np.random.default_rng(RNG_SEED).integers(0, 50, (32, 32))
    for method in METHODS:
        large = tnm.transposable_mask(small + 2**61, 4, 8, method=method)
        assert tnm.is_transposable(large, 4, 8)
        plain = tnm.transposable_mask(small + 10**6, 4, 8, method=method)
        np.testing.assert_array_equal(large, plain)


def test_neighbours_of_inexact_tiles() -> None:
    """A tile's mask does not depend on whether its neighbour fits into float64."""
    rng = np.random.default_rng(RNG_SEED)
    for m in (4, 5, 8, 16):
        array = rng.integers(-5, 6, (3 * m, 8 * m))
        expected = tnm.transposable_mask(array, m // 2, m)
        wide = array.copy()
        wide[m : 2 * m, m : 2 * m] += 2**60 + 1
        for view in (wide, np.asfortranarray(wide)):
            mask = tnm.transposable_mask(view, m // 2, m)
            mask[m : 2 * m, m : 2 * m] = expected[m : 2 * m, m : 2 * m]
            np.testing.assert_array_equal(mask, expected)
