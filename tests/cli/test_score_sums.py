"""Sums of scores by masks, and dropping, against plain NumPy on float64."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tnm_core.arguments import Score
from tnm_core.cli.pruning import score_sums
from tnm_core.cli.pruning.layer_mask import drop_
from tnm_core.cli.pruning.score_sums import ScoreSums

DTYPES = [
    *(np.dtype(name) for name in ("f2", "f4", "f8", "i1", "i4", "u2", ">f4")),
    *(np.dtype(one) for one in (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn)),
]
LAYOUTS = st.sampled_from(["c", "fortran", "strided"])
SHAPES = st.lists(st.integers(0, 9), min_size=2, max_size=3)


def _weights(shape: list[int], dtype: np.dtype[Any], seed: int) -> NDArray[Any]:
    values = np.random.default_rng(seed).normal(scale=20, size=shape)
    return np.abs(values).astype(dtype) if dtype.kind == "u" else values.astype(dtype)


def _layout(array: NDArray[Any], layout: str) -> NDArray[Any]:
    if layout == "strided":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    return np.asarray(array, order="F" if layout == "fortran" else "C")


@given(
    SHAPES, st.sampled_from(DTYPES), st.sampled_from(["c", "fortran", "strided"]), st.integers(0)
)
@pytest.mark.parametrize("score", ["abs", "square"])
@pytest.mark.parametrize("piece", [3, 1 << 14])
def test_sums(
    score: Score, piece: int, shape: list[int], dtype: np.dtype[Any], layout: str, seed: int
) -> None:
    weights = _layout(_weights(shape, dtype, seed), layout)
    generator = np.random.default_rng(seed)
    masks = {name: generator.random(shape) < 0.5 for name in ("one", "other")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_sums, "_PIECE", piece)
        sums = ScoreSums.of(weights, masks, score)
    magnitudes = np.abs(weights.astype(np.float64))
    scores = magnitudes**2 if score == "square" else magnitudes
    assert sums.largest == magnitudes.max(initial=0)
    assert sums.total == pytest.approx(math.fsum(scores.ravel()), rel=1e-13)
    assert list(sums.kept) == list(masks)
    for name, mask in masks.items():
        assert sums.kept[name] == pytest.approx(math.fsum(scores[mask]), rel=1e-13)


def test_order_of_memory_changes_no_bit() -> None:
    weights = _weights([300, 200], np.dtype(np.float32), 0)
    mask = np.random.default_rng(1).random(weights.shape) < 0.5
    found = ScoreSums.of(weights, {"mask": mask}, "square")
    assert found == ScoreSums.of(np.asfortranarray(weights), {"mask": mask}, "square")
    assert ScoreSums.of(weights, {}, "square").total == found.total


def test_infinite_scores() -> None:
    weights = np.array([[1e200, 1.0], [2.0, 1e200]])
    masks = {"finite": weights < 3, "infinite": weights > 3}
    sums = ScoreSums.of(weights, masks, "square")
    assert sums.total == math.inf
    assert sums.kept == {"finite": 5.0, "infinite": math.inf}
    sums = ScoreSums.of(np.full((2, 2), 1.5e308), {"all": np.ones((2, 2), bool)}, "abs")
    assert (sums.largest, sums.total, sums.kept["all"]) == (1.5e308, math.inf, math.inf)


@given(
    SHAPES, st.sampled_from(DTYPES), st.sampled_from(["c", "fortran", "strided"]), st.integers(0)
)
def test_drop(shape: list[int], dtype: np.dtype[Any], layout: str, seed: int) -> None:
    weights = _layout(_weights(shape, dtype, seed), layout)
    mask = np.random.default_rng(seed).random(shape) < 0.5
    expected = np.where(mask, weights.astype(np.float64), 0)
    drop_(weights, mask)
    np.testing.assert_array_equal(weights.astype(np.float64), expected)
    assert not np.signbit(weights.astype(np.float64)[~mask]).any()
