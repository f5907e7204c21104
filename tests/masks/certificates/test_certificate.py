"""The proof that comes with an optimal mask: complete, honest, and rejected once tampered with."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import tnm_core as tnm
from tests.support.arrays import DTYPES, make_array
from tests.support.certificates import (
    LARGEST_GAP,
    assert_certificate,
    dual_bound,
    exact_dual_bound,
)
from tests.support.strategies import Case, cases
from tests.support.tiles import scores_of, tiles


def _solve(array: np.ndarray, n: int, m: int, score: str = "abs") -> tuple[np.ndarray, Any]:
    return tnm.transposable_mask(array, n, m, score=score, return_certificate=True)


@given(cases())
def test_every_certificate_verifies(case: Case) -> None:
    mask, proof = _solve(case.array, case.n, case.m, case.score)
    assert_certificate(proof, case.array, mask, case.n, case.m, case.score)
    proof.verify(case.array, mask)


@given(cases())
def test_mask_is_the_same_with_and_without_certificate(case: Case) -> None:
    mask, _ = _solve(case.array, case.n, case.m, case.score)
    alone = tnm.transposable_mask(case.array, case.n, case.m, score=case.score)
    np.testing.assert_array_equal(mask, alone)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("distribution", ["normal", "ties", "constant", "denormal", "decades"])
@pytest.mark.parametrize(("n", "m"), [(2, 4), (3, 8), (10, 16)])
def test_bound_holds_in_rational_arithmetic(n: int, m: int, dtype: str, distribution: str) -> None:
    """Nothing of the proof rests on rounding: primal <= dual <= primal * (1 + 1e-9) exactly."""
    array = make_array((m, m), dtype, distribution, seed=m)
    mask, proof = _solve(array, n, m)
    scores = scores_of(array)
    primal = sum((Fraction(float(score)) for score in scores[mask]), Fraction(0))
    dual = exact_dual_bound(scores, proof.row_prices[0, 0], proof.column_prices[0, 0], n)
    assert primal <= dual <= primal * (1 + Fraction(LARGEST_GAP))


def test_shapes_with_batch_and_edges() -> None:
    array = make_array((2, 3, 10, 13))
    _, proof = _solve(array, 2, 4)
    assert proof.row_prices.shape == (2, 3, 3, 4, 4)
    assert proof.column_prices.shape == (2, 3, 3, 4, 4)
    assert proof.primal.shape == proof.dual.shape == proof.gap.shape == (2, 3, 3, 4)
    assert not proof.row_prices[..., 2, :, 2:].any()
    assert not proof.column_prices[..., 3, 1:].any()


@pytest.mark.parametrize("shape", [(0, 0), (0, 8), (8, 0), (0, 4, 4), (3, 0, 4), (2, 0, 0, 0)])
def test_no_tiles(shape: tuple[int, ...]) -> None:
    array = np.zeros(shape, dtype=np.float32)
    mask, proof = _solve(array, 2, 4)
    assert_certificate(proof, array, mask, 2, 4)
    assert proof.worst_gap == 0.0
    proof.verify(array, mask)


def test_worst_gap_is_a_float() -> None:
    _, proof = _solve(make_array((8, 8)), 2, 4)
    assert isinstance(proof.worst_gap, float)
    worse = dataclasses.replace(proof, gap=np.array([[0.0, 0.25], [0.5, 0.0]]))
    assert worse.worst_gap == 0.5


def test_certificate_is_frozen() -> None:
    _, proof = _solve(make_array((4, 4)), 2, 4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        proof.n = 3


@pytest.mark.parametrize("score", ["abs", "square", "identity"])
def test_primal_is_the_kept_score(score: str) -> None:
    array = make_array((9, 12), "float64")
    mask, proof = _solve(array, 3, 6, score)
    for tile in tiles(array.shape, 6):
        scores = scores_of(array, score)[tile.region]
        assert proof.primal[tile.where] == pytest.approx(scores[mask[tile.region]].sum())
    assert proof.score == score


def test_keeping_only_zeros_is_proven_too() -> None:
    """The gap is relative to the kept score; here that is nothing at all."""
    array = make_array((8, 8), "float64", "negative", seed=1)
    np.fill_diagonal(array, 0.0)
    mask, proof = _solve(array, 1, 8, "identity")
    np.testing.assert_array_equal(mask, np.eye(8, dtype=bool))
    assert_certificate(proof, array, mask, 1, 8, "identity")
    proof.verify(array, mask)


@pytest.mark.parametrize("m", [2, 3, 4, 8])
def test_negative_scores_over_twelve_decades(m: int) -> None:
    """What is kept may be ten decades lighter than what is dropped, and so must the prices be."""
    array = -(10 ** np.random.default_rng(m).uniform(-12, 0, (100, m, m)))
    for n in range(1, m):
        mask, proof = _solve(array, n, m, "identity")
        assert_certificate(proof, array, mask, n, m, "identity")
        proof.verify(array, mask)


@pytest.mark.parametrize(("n", "m"), [(1, 4), (2, 4), (16, 32)])
def test_values_next_to_overflow(n: int, m: int) -> None:
    """Primal and dual may pass the largest float64; the proof holds all the same."""
    array = make_array((2 * m, 2 * m), "float64")
    array = array / np.abs(array).max() * np.finfo(np.float64).max
    mask, proof = _solve(array, n, m)
    assert proof.worst_gap <= LARGEST_GAP
    proof.verify(array, mask)


# Verification of something that was tampered with. The matrix has full and edge tiles.
ARRAY = make_array((20, 22), "float64", seed=9)


def _changed(values: np.ndarray, index: tuple[int, ...], change: float) -> np.ndarray:
    copy = values.copy()
    copy[index] += change
    return copy


FIELDS = ["row_prices", "column_prices", "primal", "dual", "gap", "offset"]


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint64"])
@pytest.mark.parametrize(("n", "m"), [(1, 3), (2, 8), (2, 20), (9, 20)])
def test_prices_of_many_edge_tiles(n: int, m: int, dtype: str) -> None:
    """Not one price may round to the wrong side of zero."""
    for distribution in ("normal", "huge", "decades"):
        array = make_array((60, m - 1, 2 * m - m // 3), dtype, distribution, seed=m)
        for score in ("abs", "identity"):
            mask, proof = _solve(array, n, m, score)
            assert_certificate(proof, array, mask, n, m, score)
            proof.verify(array, mask)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("change", [0.5, -0.5, np.nan, np.inf])
@pytest.mark.parametrize("tile", [(0, 0), (1, 1), (2, 2)])
def test_verify_rejects_a_changed_number(field: str, change: float, tile: tuple[int, int]) -> None:
    mask, proof = _solve(ARRAY, 4, 8)
    values = getattr(proof, field)
    index = (*tile, 0) if values.ndim == 3 else tile
    tampered = dataclasses.replace(proof, **{field: _changed(values, index, change)})
    with pytest.raises(ValueError, match=r"\w"):
        tampered.verify(ARRAY, mask)


def test_verify_rejects_negative_prices_of_edge_tiles() -> None:
    """Consistent numbers from forbidden prices bound nothing when keeping fewer is allowed."""
    array = np.full((3, 3), -1.0)
    mask, proof = _solve(array, 2, 4, "identity")
    assert not mask.any()
    prices = np.array([[[-1.0, -1.0, -1.0, 0.0]]])
    dual = dual_bound(array, prices[0, 0, :3], np.zeros(3), 2)
    tampered = dataclasses.replace(
        proof, row_prices=prices, dual=np.array([[dual]]), primal=np.array([[dual]])
    )
    with pytest.raises(ValueError, match=r"\w"):
        tampered.verify(array, mask)
    honest_numbers = dataclasses.replace(proof, row_prices=prices, dual=np.array([[dual]]))
    with pytest.raises(ValueError, match=r"\w"):
        honest_numbers.verify(array, mask)


@pytest.mark.parametrize("score", ["abs", "square"])
@pytest.mark.parametrize("exponent", [5000, -5000, 600, -40])
def test_verify_rejects_an_exponent_that_hides_the_scores(score: str, exponent: int) -> None:
    """With scores of zero, any mask would be as good as another."""
    array = np.abs(make_array((4, 4), "float64")) + 0.1
    _, proof = _solve(array, 2, 4, score)
    zeros = {name: np.zeros_like(getattr(proof, name)) for name in FIELDS}
    hidden = dataclasses.replace(proof, **zeros, exponent=np.full_like(proof.exponent, exponent))
    with pytest.raises(ValueError, match="exponent is not that of the largest score"):
        hidden.verify(array, tnm.unrank_mask(0, 2, 4))


def test_verify_rejects_squares_that_vanish() -> None:
    array = (np.abs(make_array((4, 4), "float64")) + 0.1) * 1e-170
    mask, proof = _solve(array, 2, 4, "square")
    proof.verify(array, mask)
    zeros = {name: np.zeros_like(getattr(proof, name)) for name in FIELDS}
    hidden = dataclasses.replace(proof, **zeros, exponent=np.zeros_like(proof.exponent))
    with pytest.raises(ValueError, match="exponent leaves squares at zero"):
        hidden.verify(array, tnm.unrank_mask(0, 2, 4))


@pytest.mark.parametrize("offset", [1e20, -1e20, 3.0, np.inf, np.nan])
def test_verify_rejects_an_offset_that_outweighs_the_scores(offset: float) -> None:
    """Relative to it, what a worse mask loses would be nothing."""
    array = np.abs(make_array((4, 4), "float64")) % 1.0 + 0.1
    _, proof = _solve(array, 2, 4)
    zeros = {name: np.zeros_like(getattr(proof, name)) for name in FIELDS}
    far = zeros | {
        "offset": np.full_like(proof.offset, offset),
        "row_prices": zeros["row_prices"] - offset,
    }
    with pytest.raises(ValueError, match="offset is no difference of scores"):
        dataclasses.replace(proof, **far).verify(array, tnm.unrank_mask(0, 2, 4))


def test_verify_measures_gaps_by_the_scores_whatever_the_offset() -> None:
    """Most scores are tiny; an offset of the largest, which is dropped, outweighs them."""
    array = np.full((4, 4), -1e-6)
    array[0] = -1.0, -1e-6, -1e-6, -1e-6
    array[1, 1] = -2e-6  # which the best mask drops, and the worse one keeps
    best, proof = _solve(array, 1, 4, "identity")
    worse = np.zeros((4, 4), dtype=bool)
    worse[[0, 1, 2, 3], [3, 1, 2, 0]] = True
    assert array[worse].sum() < array[best].sum()
    prices = {"row_prices": np.full((1, 1, 4), 1.0 - 1e-6), "column_prices": np.zeros((1, 1, 4))}
    numbers = {name: np.full((1, 1), -4e-6) for name in ("primal", "dual")}
    off = {"offset": np.full((1, 1), -1.0), "gap": np.full((1, 1), 2.5e-7)}
    tampered = dataclasses.replace(proof, **prices, **numbers, **off)
    with pytest.raises(ValueError, match="does not reach the bound"):
        tampered.verify(array, worse, tolerance=1e-6)


def test_verify_rejects_prices_beyond_the_edge() -> None:
    mask, proof = _solve(ARRAY, 4, 8)
    tampered = dataclasses.replace(proof, row_prices=_changed(proof.row_prices, (2, 0, 7), 1.0))
    with pytest.raises(ValueError, match=r"\w"):
        tampered.verify(ARRAY, mask)


def test_verify_rejects_another_mask() -> None:
    mask, proof = _solve(ARRAY, 4, 8)
    flipped = mask.copy()
    flipped[0, 0] = not flipped[0, 0]
    # A valid mask of less value: whole rows of tiles exchanged.
    swapped = mask.copy()
    swapped[:8] = mask[8:16]
    for wrong in (flipped, swapped, ~mask, np.zeros_like(mask), np.ones_like(mask)):
        with pytest.raises(ValueError, match=r"\w"):
            proof.verify(ARRAY, wrong)


def test_verify_rejects_an_invalid_mask_of_equal_score() -> None:
    """On a constant array every choice scores the same, so only validity tells them apart."""
    array = np.ones((4, 4))
    mask, proof = _solve(array, 2, 4)
    wrong = np.zeros((4, 4), dtype=bool)
    wrong[:2] = True
    assert wrong.sum() == mask.sum()
    with pytest.raises(ValueError, match=r"\w"):
        proof.verify(array, wrong)


def test_verify_rejects_another_array() -> None:
    mask, proof = _solve(ARRAY, 4, 8)
    changed = ARRAY.copy()
    # What was dropped becomes the heaviest entry of its tile.
    changed[tuple(np.argwhere(~mask)[0])] = 100.0
    for wrong in (changed, ARRAY * 2, np.zeros_like(ARRAY)):
        with pytest.raises(ValueError, match=r"\w"):
            proof.verify(wrong, mask)


def test_verify_rejects_other_shapes() -> None:
    mask, proof = _solve(ARRAY, 4, 8)
    for array, of_mask in ((ARRAY[:16], mask[:16]), (ARRAY, mask[:16]), (ARRAY[None], mask[None])):
        with pytest.raises(ValueError, match=r"\w"):
            proof.verify(array, of_mask)


@pytest.mark.parametrize("change", [{"n": 3}, {"m": 4}, {"score": "square"}])
def test_verify_rejects_another_problem(change: dict[str, Any]) -> None:
    mask, proof = _solve(ARRAY, 4, 8)
    with pytest.raises(ValueError, match=r"\w"):
        dataclasses.replace(proof, **change).verify(ARRAY, mask)


def test_a_worse_mask_shows_in_the_recomputed_gap() -> None:
    """This project's own check (not only the library's) must catch valid but worse masks."""
    array = make_array((8, 8), "float64")
    _, proof = _solve(array, 4, 8)
    worse = tnm.transposable_mask(-np.abs(array), 4, 8, score="identity")
    with pytest.raises(AssertionError, match="recomputed gap"):
        assert_certificate(proof, array, worse, 4, 8)
