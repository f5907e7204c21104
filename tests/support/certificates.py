"""Re-check a certificate of optimality from its definition, without the library's own check."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from tests.support.tiles import exponent_of, kept_score, scores_of, tile_grid, tiles

LARGEST_GAP = 1e-9


def dual_bound(scores: np.ndarray, u: np.ndarray, v: np.ndarray, n: int) -> float:
    """Upper bound on the score of any mask that the prices prove."""
    surplus = np.maximum(0.0, scores - u[:, None] - v[None, :])
    return math.fsum([*(n * u).tolist(), *(n * v).tolist(), *surplus.ravel().tolist()])


def exact_dual_bound(scores: np.ndarray, u: np.ndarray, v: np.ndarray, n: int) -> Fraction:
    """Give the same bound in rational arithmetic, so that no rounding can hide a wrong price."""
    rows = [Fraction(price) for price in u.tolist()]
    columns = [Fraction(price) for price in v.tolist()]
    total = n * (sum(rows) + sum(columns))
    for (i, j), score in np.ndenumerate(scores):
        total += max(Fraction(0), Fraction(float(score)) - rows[i] - columns[j])
    return total


def relative_gap(dual: float, primal: float, scale: float) -> float:
    """Gap as a share of the kept magnitude; a tile that keeps nothing of value has scale 0."""
    if dual <= primal:
        return 0.0
    return (dual - primal) / scale if scale else math.inf


def assert_certificate(
    proof: Any, array: np.ndarray, mask: np.ndarray, n: int, m: int, score: str = "abs"
) -> None:
    """Every tile's prices prove that its mask is optimal, and the stored numbers say so."""
    grid = tile_grid(array.shape, m)
    assert (proof.n, proof.m, proof.score) == (n, m, score)
    for prices in (proof.row_prices, proof.column_prices):
        assert prices.dtype == np.float64
        assert prices.shape == (*grid, m)
        assert np.isfinite(prices).all()
    for numbers in (proof.primal, proof.dual, proof.gap):
        assert numbers.dtype == np.float64
        assert numbers.shape == grid
    assert proof.worst_gap == (proof.gap.max() if proof.gap.size else 0.0)
    scores = scores_of(array, score)
    for tile in tiles(array.shape, m):
        _assert_tile(proof, tile, scores[tile.region], mask[tile.region])


def _assert_tile(proof: Any, tile: Any, scores: np.ndarray, mask: np.ndarray) -> None:
    u, v = proof.row_prices[tile.where], proof.column_prices[tile.where]
    rows, columns = scores.shape

    def told() -> str:
        return f"tile {tile.where}, {proof.n}:{proof.m}\n{scores=}\n{mask=}\n{u=}\n{v=}"

    assert not u[rows:].any(), told()
    assert not v[columns:].any(), told()
    if not tile.full:
        assert u.min() >= 0, told()
        assert v.min() >= 0, told()
    # A power of two moves denormal and near-overflow tiles to where sums are exact.
    shift = -exponent_of(scores)
    scores, u, v = np.ldexp(scores, shift), np.ldexp(u[:rows], shift), np.ldexp(v[:columns], shift)
    primal, scale = kept_score(scores, mask), kept_score(np.abs(scores), mask)
    dual = dual_bound(scores, u, v, proof.n)
    gap = relative_gap(dual, primal, scale)
    assert gap <= LARGEST_GAP, f"recomputed gap {gap}\n{told()}"
    stored = float(proof.gap[tile.where])
    assert 0 <= stored <= LARGEST_GAP, f"stored gap {stored}\n{told()}"
    for name, expected in (("primal", primal), ("dual", dual)):
        given = float(np.ldexp(getattr(proof, name)[tile.where], shift))
        assert math.isclose(given, expected, rel_tol=1e-9, abs_tol=1e-9 * scale), (
            f"stored {name} {given}, recomputed {expected}\n{told()}"
        )
