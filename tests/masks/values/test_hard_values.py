"""Scores that have a road of their own through the fast path: many decades, and lattices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tnm_core as tnm
from tests.support.assertions import assert_solved

PATTERNS = [(2, 4), (2, 5), (3, 7), (4, 8), (1, 8), (5, 12), (8, 16), (16, 32), (32, 64)]


Maker = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def decades(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return (10.0 ** rng.uniform(-6, 6, shape)).astype(np.float32)


def lattice(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    most = int(rng.integers(1, 8))
    scale = 2.0 ** int(rng.integers(-30, 30))
    return (rng.integers(0, most + 1, shape) * scale).astype(np.float32)


def constant(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.full(shape, rng.integers(0, 3), dtype=np.float32)


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


KINDS: list[Maker] = [decades, lattice, constant, normal]


@pytest.mark.parametrize(("n", "m"), PATTERNS)
@pytest.mark.parametrize("make", [decades, lattice])
def test_optimal_and_proved(make: Maker, n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    for shape in ((m, 64), (2 * m, 128)):
        assert_solved(make(rng, shape), n, m)


@pytest.mark.parametrize("score", ["abs", "identity"])
@pytest.mark.parametrize(("n", "m"), PATTERNS)
def test_a_tile_does_not_depend_on_its_neighbours_or_its_type(n: int, m: int, score: str) -> None:
    rng = np.random.default_rng(m)
    kinds = rng.integers(0, len(KINDS), (3, 20))
    tiles = [[KINDS[kind](rng, (m, m)) for kind in row] for row in kinds]
    if score == "identity":
        tiles = [[tile * rng.choice([-1, 1], tile.shape) for tile in row] for row in tiles]
    array = np.block(tiles).astype(np.float32)
    mask = tnm.transposable_mask(array, n, m, score=score)
    np.testing.assert_array_equal(
        mask, tnm.transposable_mask(array.astype(np.float64), n, m, score=score)
    )
    proved, _ = tnm.transposable_mask(array, n, m, score=score, return_certificate=True)
    np.testing.assert_array_equal(mask, proved)
    alone = [
        [tnm.transposable_mask(tile.astype(np.float32), n, m, score=score) for tile in row]
        for row in tiles
    ]
    np.testing.assert_array_equal(mask, np.block(alone))
    assert_solved(array, n, m, score=score)
