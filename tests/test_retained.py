"""retained_score: the sums, whatever the layout, against plain NumPy on float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tnm_core as tnm
from tests.support.arrays import DTYPES, LAYOUTS, make_array, with_layout
from tests.support.strategies import Case, cases


def _scores(values: np.ndarray, score: str) -> np.ndarray:
    wide = values.astype(np.float64)
    return {"abs": np.abs, "square": np.square, "identity": np.positive}[score](wide)


def _mask(shape: tuple[int, ...], seed: int, layout: str = "c") -> np.ndarray:
    return with_layout(np.random.default_rng(seed).random(shape) < 0.4, layout)


@given(cases(max_m=40), st.sampled_from(LAYOUTS))
def test_sums(case: Case, layout: str) -> None:
    values = case.array
    mask = _mask(case.shape, case.seed, layout)
    found = tnm.retained_score(values, mask, score=case.score)
    with np.errstate(over="ignore"):
        scores = _scores(values, case.score)
    allowed = 1e-14 * math.fsum(np.abs(scores).ravel())
    assert abs(found.total - math.fsum(scores.ravel())) <= allowed
    assert abs(found.kept - math.fsum(scores[mask])) <= allowed
    assert found.largest == np.abs(values.astype(np.float64)).max(initial=0)
    assert found.kept_entries == mask.sum()
    assert found.entries == mask.size


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layout_and_threads_change_no_bit(dtype: str, layout: str) -> None:
    shape = (3, 150, 4200)  # several pieces, down and across
    # Decades, so that every order of additions rounds in its own way.
    plain, mask = make_array(shape, dtype, "decades"), _mask(shape, 1)
    expected = _figures(tnm.retained_score(plain, mask, score="square", threads=1))
    for array, flags in (
        (with_layout(plain, layout), mask),
        (plain, with_layout(mask, layout)),
        (with_layout(plain, layout), with_layout(mask, layout)),
    ):
        found = tnm.retained_score(array, flags, score="square", threads=3)
        assert _figures(found) == expected


def _figures(found: tnm.RetainedScore) -> tuple[float, float, float, int]:
    return found.kept, found.total, found.largest, found.kept_entries


def test_shares_and_text() -> None:
    found = tnm.retained_score([[1, -3], [2, 2]], np.eye(2, dtype=int))
    assert (found.share, found.density) == (3 / 8, 1 / 2)
    assert str(found) == "0.3750 of the score in 0.5000 of the entries"
    assert repr(found) == (
        "RetainedScore(kept=3.0, total=8.0, largest=3.0, kept_entries=2, entries=4)"
    )


def test_axes_of_one_may_have_any_stride() -> None:
    """A convolution of kernel (3, 1) as matrices; NumPy gives the single column the next stride."""
    weights = make_array((16, 8, 3, 1), "float32", seed=1).transpose(2, 3, 0, 1)
    mask = _mask((16, 8, 3, 1), 2).transpose(2, 3, 0, 1)
    found = tnm.retained_score(weights, mask)
    assert found.total == pytest.approx(float(np.abs(weights.astype(np.float64)).sum()), rel=1e-14)
    assert found.kept_entries == mask.sum()
    part = np.zeros((2, 1, 8, 4), np.bool_)
    part[:, :, 4:] = True
    assert tnm.retained_score(np.ones((2, 1, 4, 4)), part[:, :, :4]).kept_entries == 0
    assert tnm.retained_score(np.ones((2, 1, 4, 4)), part[:, :, 4:]).kept_entries == 32


def test_the_share_of_nothing() -> None:
    balanced = np.array([[1.0, -1.0], [2.0, -2.0]])
    assert math.isnan(tnm.retained_score(balanced, balanced > 0, score="identity").share)
    assert tnm.retained_score(balanced, balanced > 9, score="identity").share == 1


def test_nothing_is_lost_where_there_is_nothing() -> None:
    assert tnm.retained_score(np.zeros((4, 4)), np.zeros((4, 4), bool)).share == 1
    empty = tnm.retained_score(np.zeros((0, 4)), np.zeros((0, 4), bool))
    assert empty.share == 1
    assert math.isnan(empty.density)


def test_sums_that_are_too_large() -> None:
    weights = np.array([[1e200, 1.0], [2.0, 1e200]])
    found = tnm.retained_score(weights, weights < 3, score="square")
    assert (found.kept, found.total, found.largest) == (5.0, math.inf, 1e200)
    assert tnm.retained_score(weights, weights > 3, score="square").kept == math.inf
    huge = np.full((2, 2), 1.5e308)
    assert tnm.retained_score(huge, huge > 0).kept == math.inf
    signed = np.array([[1.5e308, 1.5e308], [-1.5e308, -1.5e308]])
    found = tnm.retained_score(signed, signed > 0, score="identity")
    assert (found.kept, found.total) == (math.inf, 0.0)  # lanes of both signs meet
    assert math.isnan(tnm.retained_score(huge, huge > 0).share)


@pytest.mark.parametrize(
    ("array", "mask", "options", "error", "told"),
    [
        (np.ones((2, 4)), np.ones((4, 2), bool), {}, ValueError, r"mask has shape \(4, 2\)"),
        (np.ones(4), np.ones((1, 4), bool), {}, ValueError, "array has 1 axes"),
        (np.ones((1, 4)), np.ones((1, 4)), {}, TypeError, "mask has dtype float64"),
        (np.ones((1, 4), complex), np.ones((1, 4), bool), {}, TypeError, "array has dtype complex"),
        (np.ones((1, 4)), np.ones((1, 4), bool), {"score": "cube"}, ValueError, "score is 'cube'"),
        (np.ones((1, 4)), np.ones((1, 4), bool), {"threads": 0}, ValueError, "threads is 0"),
        ([[1, np.nan]], [[True, False]], {}, ValueError, r"array\[0, 1\] is nan"),
        ([[1, 2], [-np.inf, 0]], np.eye(2, dtype=bool), {}, ValueError, r"array\[1, 0\] is -inf"),
    ],
)
def test_errors(
    array: Any, mask: Any, options: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        tnm.retained_score(array, mask, **options)
