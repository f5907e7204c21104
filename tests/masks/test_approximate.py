"""The fast methods: as published, and completed with their bounds kept."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings

import tnm_core as tnm
from tests.support import references
from tests.support.arrays import DISTRIBUTIONS, make_array
from tests.support.assertions import assert_solved
from tests.support.oracles import every_mask
from tests.support.strategies import Case, cases
from tests.support.tiles import kept_score, scores_of

METHODS = ["two_approximation", "greedy"]
PATTERNS = [(1, 4), (2, 4), (3, 4), (4, 8), (5, 8), (1, 16), (8, 16), (14, 16), (7, 13)]


@settings(max_examples=150)
@given(cases())
@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_on_anything(method: str, complete: bool, case: Case) -> None:
    assert_solved(case.array, case.n, case.m, method=method, complete=complete, score=case.score)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n", "m"), PATTERNS)
def test_distributions(n: int, m: int, method: str, complete: bool, distribution: str) -> None:
    array = make_array((2 * m, 2 * m + m // 2), "float32", distribution, seed=n)
    assert_solved(array, n, m, method=method, complete=complete)
    assert_solved(array, n, m, method=method, complete=complete, score="identity", oracle=None)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n", "m"), [(16, 32), (3, 64), (32, 64), (61, 64), (64, 128), (40, 101)])
def test_large_tiles(n: int, m: int, method: str) -> None:
    for distribution in ("normal", "ties", "constant"):
        array = make_array((m + 5, m), "float32", distribution, seed=n)
        assert_solved(array, n, m, method=method)
        assert_solved(array, n, m, method=method, complete=False)


@given(cases())
def test_the_two_readings_of_the_paper_agree(case: Case) -> None:
    """The published loop and "top n of the row and of the column" are the same set."""
    scores = scores_of(case.array, case.score)[..., : case.m, : case.m]
    for batch in np.ndindex(*scores.shape[:-2]):
        tile = scores[batch]
        full = tile.shape == (case.m, case.m)
        np.testing.assert_array_equal(
            references.two_approximation_loop(tile, case.n, full),
            references.two_approximation_top(tile, case.n, full),
        )


def test_published_densities_of_the_two_approximation() -> None:
    """Kept shares on normal values, as measured before for the published algorithm."""
    array = make_array((1024, 1024), seed=1)
    for (n, m), density in {(2, 4): 0.371, (4, 8): 0.405, (8, 16): 0.431, (16, 32): 0.451}.items():
        mask = tnm.transposable_mask(array, n, m, method="two_approximation", complete=False)
        assert mask.mean() == pytest.approx(density, abs=0.002)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n", "m"), PATTERNS)
def test_completion_fills_up(n: int, m: int, method: str) -> None:
    array = make_array((8 * m, 8 * m), seed=m)
    scores = scores_of(array)
    some = tnm.transposable_mask(array, n, m, method=method, complete=False)
    whole = tnm.transposable_mask(array, n, m, method=method)
    assert some.mean() <= whole.mean() == n / m
    # With n near m, exactly n can be worth less than at most n: making room drops heavy entries.
    if 2 * n <= m:
        assert kept_score(scores, whole) >= kept_score(scores, some)


def _tile_batches() -> list[np.ndarray]:
    bits = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    digits = np.array(list(itertools.product((0, 1, 3), repeat=9)))
    return [bits.astype(np.int8).reshape(-1, 4, 4), digits.astype(np.int8).reshape(-1, 3, 3)]


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch", _tile_batches(), ids=["binary 4x4", "ternary 3x3"])
def test_bounds_on_all_small_tiles(batch: np.ndarray, method: str, complete: bool) -> None:
    m = batch.shape[-1]
    scores = batch.reshape(-1, m * m).astype(int)
    for n in range(1, m):
        mask = tnm.transposable_mask(batch, n, m, method=method, complete=complete)
        assert tnm.check_mask(mask, n, m, exact=complete)
        kept = (scores * mask.reshape(-1, m * m)).sum(axis=1)
        most = (scores @ every_mask(m, m, n, True).T.astype(int)).max(axis=1)
        total = scores.sum(axis=1)
        if method == "greedy":
            broken = np.flatnonzero(2 * kept < most)
        else:
            broken = np.flatnonzero(total - kept > 2 * (total - most))
        assert broken.size == 0, f"{n}:{m}\n{batch[broken[:3]]}\n{mask[broken[:3]]}"


@pytest.mark.parametrize("method", METHODS)
def test_completion_leaves_complete_masks_alone(method: str) -> None:
    """Where the published rule already keeps n everywhere there is nothing to add."""
    array = np.eye(4)[[1, 3, 0, 2]] + 0.1 * np.eye(4)[[0, 1, 2, 3]] + 1.0
    array = np.kron(np.ones((3, 3)), array)
    some = tnm.transposable_mask(array, 1, 4, method=method, complete=False)
    assert tnm.is_transposable(some, 1, 4)
    np.testing.assert_array_equal(tnm.transposable_mask(array, 1, 4, method=method), some)


def test_incomplete_greedy_can_get_stuck() -> None:
    """The reason for completion: the last row and column may be left with no room in common."""
    array = np.array([[9.0, 8.0, 0.1], [7.0, 6.0, 0.1], [0.1, 0.1, 5.0]])
    some = tnm.transposable_mask(array, 2, 3, method="greedy", complete=False)
    np.testing.assert_array_equal(some, references.greedy(array, 2, True))
    assert not tnm.is_transposable(some, 2, 3)
    assert tnm.is_transposable(tnm.transposable_mask(array, 2, 3, method="greedy"), 2, 3)


@pytest.mark.parametrize("method", METHODS)
def test_optimum_is_never_below(method: str) -> None:
    for n, m in PATTERNS:
        array = make_array((4 * m, 4 * m), distribution="student_t", seed=n)
        scores = scores_of(array)
        fast = tnm.transposable_mask(array, n, m, method=method)
        best = tnm.transposable_mask(array, n, m)
        assert kept_score(scores, fast) <= kept_score(scores, best) * (1 + 1e-12)
