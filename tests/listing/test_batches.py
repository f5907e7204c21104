"""Many masks numbered at once agree with one at a time."""

from __future__ import annotations

import numpy as np
import pytest

import tnm_core as tnm
from tnm_core.listing import rank_masks, unrank_masks


@pytest.mark.parametrize("pattern", ["1:2", "2:4", "1:5", "4:8", "2:8"])
def test_numbers_are_those_of_single_masks(pattern: str) -> None:
    masks = tnm.sample_masks(pattern, size=(3, 7), rng=0)
    indices = rank_masks(masks, pattern)
    assert indices.shape == (3, 7)
    expected = [tnm.rank_mask(mask, pattern) for mask in masks.reshape(21, *masks.shape[-2:])]
    assert indices.reshape(-1).tolist() == expected
    np.testing.assert_array_equal(unrank_masks(indices, pattern), masks)


def test_memory_order_and_dtype_do_not_matter() -> None:
    masks = np.asfortranarray(tnm.sample_masks("2:4", size=50, rng=1))
    indices = rank_masks(masks, "2:4")
    assert rank_masks(masks.astype(np.int8), (2, 4)).tolist() == indices.tolist()
    assert (unrank_masks(indices.astype(np.int16), 2, 4) == masks).all()


def test_nothing_is_numbered_as_nothing() -> None:
    assert rank_masks(np.zeros((0, 4, 4), bool), "2:4").shape == (0,)
    assert unrank_masks(np.zeros((0, 2), np.uint64), "2:4").shape == (0, 2, 4, 4)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no transposable 2:4 masks: .* keeps 1"):
        rank_masks(np.eye(4, dtype=bool), "2:4")
    with pytest.raises(ValueError, match=r"shape \(8, 8\), expected \(\.\.\., 4, 4\)"):
        rank_masks(np.zeros((8, 8), bool), "2:4")
    with pytest.raises(ValueError, match=r"indices hold 90, expected 0 <= index < 90"):
        unrank_masks([0, 90], "2:4")
    with pytest.raises(ValueError, match="indices hold -1"):
        unrank_masks([-1], "2:4")
    with pytest.raises(TypeError, match="dtype float64"):
        unrank_masks([0.5], "2:4")
    with pytest.raises(ValueError, match=r"fewer than 2\^64"):
        rank_masks(tnm.sample_masks("8:16", size=1, rng=0), "8:16")
