"""The numbers of a certificate, against exact arithmetic, and on which they do not depend."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import tnm_core as tnm
from tests.support.arrays import DISTRIBUTIONS, LAYOUTS, make_array, with_layout
from tests.support.certificates import exact_dual_bound
from tests.support.strategies import Case, cases
from tests.support.tiles import scores_of, tiles

FIELDS = ["row_prices", "column_prices", "primal", "dual", "gap", "offset", "exponent"]


def _solve(array: np.ndarray, n: int, m: int, score: str = "abs", **options: Any) -> Any:
    return tnm.transposable_mask(array, n, m, score=score, return_certificate=True, **options)


def assert_same(proof: Any, other: Any) -> None:
    """Both hold the same numbers, whatever the shape."""
    for name in FIELDS:
        values, others = getattr(proof, name), getattr(other, name)
        np.testing.assert_array_equal(values.reshape(others.shape), others, err_msg=name)


def _assert_exact(case: Case, array: np.ndarray) -> None:
    mask, proof = _solve(array, case.n, case.m, case.score)
    scores = scores_of(array, case.score)
    for tile in tiles(array.shape, case.m):
        if proof.exponent[tile.where] != 0 or proof.offset[tile.where] != 0:
            continue
        own, kept = scores[tile.region], mask[tile.region]
        rows, columns = own.shape
        u = proof.row_prices[tile.where][:rows]
        v = proof.column_prices[tile.where][:columns]
        primal = sum((Fraction(score) for score in own[kept].tolist()), Fraction(0))
        magnitude = sum((Fraction(abs(score)) for score in own[kept].tolist()), Fraction(0))
        dual = exact_dual_bound(own, u, v, case.n)
        ulp = Fraction(2) ** -52 * magnitude + Fraction(2) ** -1074
        assert abs(Fraction(float(proof.primal[tile.where])) - primal) <= ulp
        assert abs(Fraction(float(proof.dual[tile.where])) - dual) <= ulp + (dual - primal) / 2**20
        gap = float(proof.gap[tile.where])
        if gap == 0.0:
            assert dual == primal
            assert proof.dual[tile.where] == proof.primal[tile.where]
        else:
            assert abs(Fraction(gap) * magnitude - (dual - primal)) <= (dual - primal) / 2**40


@given(cases(max_m=8, max_tiles=3))
def test_numbers_are_exact(case: Case) -> None:
    if case.dtype in ("int64", "uint64", "float64") and case.distribution == "huge":
        return
    if case.dtype == "float64" and case.score == "square":
        return
    _assert_exact(case, case.array)


@settings(max_examples=20)
@given(cases(max_m=4, max_tiles=40))
def test_numbers_of_many_small_tiles_are_exact(case: Case) -> None:
    if case.dtype in ("float16", "float32", "bfloat16", "int8") and case.shape[-2] <= 16:
        _assert_exact(case, case.array)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("n", "m"), [(1, 4), (2, 4), (3, 4), (6, 12), (16, 32), (33, 64), (40, 70)]
)
@pytest.mark.parametrize("distribution", ["normal", "ties", "decades", "denormal"])
def test_numbers_of_full_strips_are_exact(n: int, m: int, distribution: str, dtype: str) -> None:
    """Two strips and a bit, or two tiles."""
    array = make_array((m, 140 if m <= 12 else 2 * m), dtype, distribution, seed=m)
    for score in ("abs", "identity"):
        case = Case(array.shape, n, m, dtype, distribution, "c", score, m)
        _assert_exact(case, array)


@pytest.mark.parametrize(("n", "m"), [(2, 3), (1, 4), (2, 4), (3, 4), (4, 8), (5, 12), (16, 32)])
@pytest.mark.parametrize("score", ["abs", "identity"])
def test_certificate_of_a_tile_does_not_depend_on_its_neighbours(
    n: int, m: int, score: str
) -> None:
    """Neighbours of every distribution, which take all the ways that prices are found."""
    parts = [
        make_array((3 * m, m), "float32", name, seed=k)
        for k, name in enumerate(("normal", "ties", "constant", "sparse", "decades", "negative"))
    ]
    near_ties = np.float32(1) + make_array((3 * m, 2 * m), "float32", "ties") * np.float32(2**-22)
    array = np.concatenate([*parts, near_ties, *parts[::-1]], axis=1)
    _, proof = _solve(array, n, m, score)
    for tile in tiles(array.shape, m):
        _, alone = _solve(np.ascontiguousarray(array[tile.region]), n, m, score)
        for name in FIELDS:
            np.testing.assert_array_equal(
                getattr(proof, name)[tile.where], getattr(alone, name)[0, 0], err_msg=name
            )


@pytest.mark.parametrize("m", [3, 4, 8, 20, 32, 64])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_certificate_does_not_depend_on_layout_or_dtype(m: int, distribution: str) -> None:
    array = make_array((2 * m + 1, 3 * m + 66), "float32", distribution, seed=m)
    for score in ("abs", "identity"):
        _, expected = _solve(array, m // 2, m, score)
        for layout in LAYOUTS:
            _, proof = _solve(with_layout(array, layout), m // 2, m, score)
            assert_same(proof, expected)
        _, proof = _solve(array.astype(np.float64), m // 2, m, score, threads=2)
        assert_same(proof, expected)


@pytest.mark.parametrize("m", [3, 4, 8, 16, 32])
def test_certificate_of_a_batch_of_tiles(m: int) -> None:
    array = make_array((5, 3, m, m), "float32", seed=m)
    _, proof = _solve(array, m // 2, m)
    side_by_side = array.reshape(15, m, m).transpose(1, 0, 2).reshape(m, 15 * m)
    _, expected = _solve(side_by_side, m // 2, m)
    assert_same(proof, expected)


@pytest.mark.parametrize("shape", [(40, 4100), (300, 8, 12), (2, 3, 150, 40, 9), (3, 1, 1030, 70)])
def test_verify_names_the_tile(shape: tuple[int, ...]) -> None:
    """Of any axis, far from the first ones that are verified together."""
    array = make_array(shape, "float32")
    mask, proof = _solve(array, 2, 4)
    proof.verify(array, mask)
    rng = np.random.default_rng(0)
    for _ in range(10):
        tile = tuple(int(rng.integers(size)) for size in proof.gap.shape)
        before = proof.primal[tile]
        proof.primal[tile] += 1.0
        where = ", ".join(map(str, tile))
        with pytest.raises(ValueError, match=rf"tile \({where}\): the primal value"):
            proof.verify(array, mask)
        proof.primal[tile] = before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_verify_sees_a_slightly_wrong_price(dtype: str) -> None:
    """Prices that miss one tight entry by a little prove less than they say."""
    array = make_array((8, 64), dtype, "ties", seed=3)
    mask, proof = _solve(array, 4, 8)
    assert not proof.gap.any()
    proof.row_prices[0, 3, 5] += 1e-6
    with pytest.raises(ValueError, match=r"tile \(0, 3\)"):
        proof.verify(array, mask)
