"""Drawing masks: exactly uniform, reproducible, with every kind of size and generator."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

import tnm_core as tnm

# Of the many tests here hardly one would fail by chance; seeds are fixed, so none does.
UNLIKELY = 1e-6

# Three 4:8 masks for seed 0, as codes.
PINNED_EXACT = [5581254825422015115, 11993843436125439960, 16299596384360722455]
PINNED_CHAIN = [12443821195030923180, 1707650020421410140, 6264660560536365420]


def _p_value(observed: np.ndarray, expected: np.ndarray | float) -> float:
    """Pearson's chi-square test, at both ends: too even a spread is suspicious as well."""
    statistic = float(((observed - expected) ** 2 / expected).sum())
    freedom = observed.size - 1
    return float(2 * min(chi2.cdf(statistic, freedom), chi2.sf(statistic, freedom)))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_all_masks_of_a_small_tile_are_equally_frequent(n: int, seed: int) -> None:
    masks = tnm.sample_masks(n, 4, 90_000, rng=seed)
    total = {1: 24, 2: 90, 3: 24}[n]
    _, frequencies = np.unique(tnm.encode_masks(masks), return_counts=True)
    assert len(frequencies) == total
    assert _p_value(frequencies, len(masks) / total) > UNLIKELY


def test_row_patterns_and_column_patterns() -> None:
    """By symmetry, all 70 ways to keep 4 of 8 are equally frequent in every line of a 4:8 mask."""
    masks = tnm.sample_masks(4, 8, 70_000, rng=2)
    for lines in (masks, masks.swapaxes(1, 2)):
        for k in range(8):
            packed = np.packbits(lines[:, k], axis=1).ravel()
            _, frequencies = np.unique(packed, return_counts=True)
            assert len(frequencies) == math.comb(8, 4)
            assert _p_value(frequencies, len(masks) / 70) > UNLIKELY


def test_pairs_of_rows() -> None:
    """How many columns two rows share: counted exactly against observed, at 4:8."""
    from tnm_core import _core

    masks = tnm.sample_masks(4, 8, 50_000, rng=3)
    shared = Counter((masks[:, 2] & masks[:, 5]).sum(axis=1).tolist())
    total = 116963796250
    expected = []
    for k in range(5):
        # Two rows that share k columns leave needs of 2, 3 and 4 behind.
        needs = [2] * k + [3] * (8 - 2 * k) + [4] * k
        pairs = math.comb(8, 4) * math.comb(4, k) * math.comb(4, 4 - k)
        expected.append(pairs * _core.count_margins_dp([4] * 6, needs, 2**30))
    assert sum(expected) == total
    observed = np.array([shared[k] for k in range(5)])
    probabilities = np.array([number / total for number in expected])
    assert _p_value(observed, 50_000 * probabilities) > UNLIKELY


@pytest.mark.parametrize(("n", "m"), [(8, 16), (11, 16), (3, 20), (4, 32)])
def test_entries_are_kept_equally_often(n: int, m: int) -> None:
    masks = tnm.sample_masks(n, m, 4000, rng=4)
    assert (masks.sum(axis=1) == n).all()
    assert (masks.sum(axis=2) == n).all()
    share = masks.mean(axis=0)
    deviation = math.sqrt(n / m * (1 - n / m) / len(masks))
    assert np.abs(share - n / m).max() < 5 * deviation
    assert np.abs(share - n / m).max() > 0


@pytest.mark.parametrize("exact", [True, False])
def test_sizes(exact: bool) -> None:
    for size, shape in [
        (None, ()), (0, (0,)), (3, (3,)), (np.int64(2), (2,)), ((), ()), ((2, 3), (2, 3)),
        ((2, 0), (2, 0)), ([4], (4,)),
    ]:  # fmt: skip
        masks = tnm.sample_masks(4, 8, size, rng=0, exact=exact)
        assert masks.shape == (*shape, 8, 8)
        assert masks.dtype == np.bool_
        assert (masks.sum(axis=-1) == 4).all()
        assert masks.flags.writeable


@pytest.mark.parametrize("exact", [True, False])
def test_reproducible(exact: bool) -> None:
    def draw(rng: Any, size: int = 200, threads: int | None = None) -> np.ndarray:
        return tnm.sample_masks(4, 8, size, rng, exact=exact, threads=threads)

    masks = draw(7)
    np.testing.assert_array_equal(draw(7), masks)
    np.testing.assert_array_equal(draw(np.random.default_rng(7)), masks)
    for threads in (1, 2, 5):
        np.testing.assert_array_equal(draw(7, threads=threads), masks)
    assert (draw(8) != masks).any()
    assert (draw(None) != draw(None)).any()
    generator = np.random.default_rng(7)
    assert (draw(generator) != draw(generator)).any(), "a generator moves on"
    assert len(np.unique(tnm.encode_masks(masks))) > 190


def test_pinned() -> None:
    """The masks of a seed do not change from one version, or machine, to the next."""
    assert tnm.encode_masks(tnm.sample_masks(4, 8, 3, rng=0)).tolist() == PINNED_EXACT
    masks = tnm.sample_masks(4, 8, 3, rng=0, exact=False)
    assert tnm.encode_masks(masks).tolist() == PINNED_CHAIN


@pytest.mark.parametrize("name", ["PCG64", "MT19937", "Philox", "SFC64"])
def test_any_bit_generator(name: str) -> None:
    generator = np.random.Generator(getattr(np.random, name)(1))
    masks = tnm.sample_masks(2, 4, 9000, generator)
    _, frequencies = np.unique(tnm.encode_masks(masks), return_counts=True)
    assert _p_value(frequencies, 100) > UNLIKELY


def test_more_than_are_drawn_at_once() -> None:
    masks = tnm.sample_masks(1, 2, 200_001, rng=5)
    assert masks.shape == (200_001, 2, 2)
    assert abs(int(masks[:, 0, 0].sum()) - 100_000) < 1500


def test_a_single_mask() -> None:
    assert tnm.sample_masks(4, 4, 5, rng=0).all()
    assert tnm.sample_masks(1, 1).tolist() == [[True]]
    assert tnm.sample_masks(1, 1, exact=False).tolist() == [[True]]
    assert tnm.sample_masks(3, 3, exact=False).all()


@pytest.mark.parametrize(("n", "m"), [(2, 4), (16, 32), (32, 64), (33, 65), (127, 128), (64, 128)])
@pytest.mark.parametrize("trades", [0, 1, 100, None])
def test_chain_preserves_margins(n: int, m: int, trades: int | None) -> None:
    masks = tnm.sample_masks(n, m, 20, rng=0, exact=False, trades=trades)
    assert (masks.sum(axis=1) == n).all()
    assert (masks.sum(axis=2) == n).all()
    assert len({mask.tobytes() for mask in masks}) > 1


def test_chain_is_nearly_uniform_on_a_small_tile() -> None:
    """At 2:4, where the default of 80 trades is plenty."""
    masks = tnm.sample_masks(2, 4, 90_000, rng=0, exact=False)
    _, frequencies = np.unique(tnm.encode_masks(masks), return_counts=True)
    assert len(frequencies) == 90
    assert _p_value(frequencies, 1000) > UNLIKELY


def test_a_trade_changes_two_rows_at_most() -> None:
    before = tnm.sample_masks(8, 16, 50, rng=1, exact=False, trades=0)
    after = tnm.sample_masks(8, 16, 50, rng=1, exact=False, trades=1)
    changed = (before != after).any(axis=2).sum(axis=1)
    assert set(changed.tolist()) == {0, 2} or set(changed.tolist()) == {2}


def test_banded_start() -> None:
    """Without trades: rows shuffled of a band, so that all pairs of rows overlap as in a band."""
    mask = tnm.sample_masks(2, 6, rng=1, exact=False, trades=0)
    overlaps = Counter(int((a & b).sum()) for a, b in combinations(mask, 2))
    assert overlaps == {1: 6, 0: 9}


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"size": -1}, ValueError, "size is -1, expected at least 0"),
        ({"size": (2, -3)}, ValueError, "size is -3"),
        ({"size": 2.0}, TypeError, "size is 2.0"),
        ({"size": "3"}, TypeError, "size is '3'"),
        ({"size": True}, TypeError, "size is True"),
        ({"rng": -1}, ValueError, "rng is -1, expected at least 0"),
        ({"rng": 1.5}, TypeError, "rng is a float"),
        ({"rng": True}, TypeError, "rng is a bool"),
        ({"rng": np.random.RandomState(0)}, TypeError, "rng is a RandomState"),
        ({"exact": "no"}, TypeError, "exact is 'no'"),
        ({"trades": 5}, ValueError, "exact=False"),
        ({"trades": -1, "exact": False}, ValueError, "trades is -1"),
        ({"trades": 2**70, "exact": False}, ValueError, "trades is"),
        ({"trades": 1.0, "exact": False}, TypeError, "trades is 1.0"),
        ({"threads": 0}, ValueError, "threads is 0"),
        ({"memory_cap": 1000}, ValueError, "memory_cap is 1000 bytes"),
        ({"memory_cap": -1}, ValueError, "memory_cap is -1"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told) as caught:
        tnm.sample_masks(4, 8, **arguments)
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_arguments_leave_the_generator_alone() -> None:
    generator = np.random.default_rng(0)
    state = generator.bit_generator.state
    with pytest.raises(ValueError, match="memory_cap"):
        tnm.sample_masks(16, 32, 5, generator)
    with pytest.raises(ValueError, match="n is 9"):
        tnm.sample_masks(9, 8, 5, generator)
    assert generator.bit_generator.state == state


def test_beyond_the_tables_one_has_to_ask() -> None:
    with pytest.raises(ValueError, match="memory_cap"):
        tnm.sample_masks(16, 32)
    assert tnm.is_transposable(tnm.sample_masks(16, 32, exact=False), 16, 32)
