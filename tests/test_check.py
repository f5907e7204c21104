"""check_mask and is_transposable: the verdict, the first violation and the counts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tnm_core as tnm
from tests.support import references
from tests.support.arrays import LAYOUTS, make_array, with_layout
from tests.support.strategies import Case, cases


def test_axes_of_one_may_have_any_stride() -> None:
    """A convolution of kernel (3, 1) as matrices; NumPy gives the single column the next stride."""
    rng = np.random.default_rng(0)
    mask = tnm.transposable_mask(rng.normal(size=(3, 1, 16, 8)), 2, 4)
    view = np.ascontiguousarray(mask.transpose(2, 3, 0, 1)).transpose(2, 3, 0, 1)
    assert tnm.check_mask(view, 2, 4)
    _assert_report(view, 2, 4, exact=True)
    part = np.repeat(np.eye(4, dtype=bool)[None, None], 2, axis=2).reshape(1, 1, 8, 4)
    whole = np.concatenate([part, part])
    whole[:, :, 4:] = True
    _assert_report(whole[:, :, :4], 1, 4, exact=True)


def _assert_report(mask: np.ndarray, n: int, m: int, exact: bool) -> None:
    report = tnm.check_mask(mask, n, m, exact=exact)
    expected = references.first_violation(mask, n, m, exact)
    assert report.valid is (expected is None)
    assert bool(report) is report.valid
    assert "\n" not in str(report)
    if expected is None:
        assert report.violation is None
    else:
        axis, index, count = expected
        found = report.violation
        assert (found.axis, tuple(found.index), found.count) == (axis, index, count)
        assert str(n) in str(found.expected)
        assert "\n" not in str(found)
        assert axis in str(found)
        assert ", ".join(map(str, index)) in str(found)
        assert str(count) in str(found)
        assert str(found) in str(report)
    share = mask.mean() if mask.size else np.nan
    assert report.density == pytest.approx(share, nan_ok=True)
    assert report.row_counts.dtype == np.uint8
    assert report.column_counts.dtype == np.uint8
    np.testing.assert_array_equal(report.row_counts, references.group_counts(mask, m))
    by_column = references.group_counts(mask.swapaxes(-1, -2), m).swapaxes(-1, -2)
    np.testing.assert_array_equal(report.column_counts, by_column)


@settings(max_examples=200)
@given(cases(), st.integers(0, 3), st.booleans())
def test_against_reference(case: Case, flips: int, exact: bool) -> None:
    """Valid masks, and the same with a few entries flipped."""
    mask = tnm.transposable_mask(case.array, case.n, case.m)
    rng = np.random.default_rng(case.seed)
    if mask.size:
        chosen = rng.integers(0, mask.size, flips)
        mask.flat[chosen] = ~mask.flat[chosen]
    mask = with_layout(mask, case.layout)
    before = mask.tobytes()
    _assert_report(mask, case.n, case.m, exact)
    assert mask.tobytes() == before
    is_valid = references.first_violation(mask, case.n, case.m) is None
    assert tnm.is_transposable(mask, case.n, case.m) is is_valid


@given(st.integers(0, 2**32), st.booleans())
def test_random_masks(seed: int, exact: bool) -> None:
    rng = np.random.default_rng(seed)
    n, m = sorted(rng.integers(1, 7, 2).tolist())
    shape = rng.integers(0, 14, 2)
    _assert_report(rng.random(shape) < rng.random(), n, m, exact)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str) -> None:
    mask = tnm.transposable_mask(make_array((2, 16, 24)), 4, 8)
    assert tnm.is_transposable(with_layout(mask, layout), 4, 8)
    mask[1, 9, 17] ^= True
    report = tnm.check_mask(with_layout(mask, layout), 4, 8)
    assert tuple(report.violation.index) == (1, 9, 16)


def test_every_single_flip_is_found() -> None:
    """No entry of full tiles is overlooked."""
    mask = tnm.transposable_mask(make_array((8, 12)), 2, 4)
    for index in np.ndindex(*mask.shape):
        mask[index] ^= True
        report = tnm.check_mask(mask, 2, 4)
        assert not report
        assert report.violation.axis == "row"
        assert tuple(report.violation.index) == (index[0], index[1] // 4 * 4)
        mask[index] ^= True
    assert tnm.check_mask(mask, 2, 4)


def test_columns_are_checked_too() -> None:
    """Rows in order and columns not: the case that a known checker of another library accepts."""
    mask = np.array([[1, 1, 0, 0]] * 4, dtype=bool)
    report = tnm.check_mask(mask, 2, 4)
    assert not report.valid
    assert (report.violation.axis, tuple(report.violation.index)) == ("column", (0, 0))
    assert report.violation.count == 4
    assert "2" in str(report.violation.expected)
    assert tnm.check_mask(mask, 2, 4, transposable=False)


def test_misaligned_groups_are_not_accepted() -> None:
    mask = tnm.transposable_mask(make_array((16, 16), seed=4), 2, 4)
    assert tnm.is_transposable(mask, 2, 4)
    assert not tnm.is_transposable(np.roll(mask, 1, axis=1), 2, 4)


def test_at_most_n() -> None:
    mask = np.zeros((8, 8), dtype=bool)
    assert not tnm.check_mask(mask, 2, 4)
    assert tnm.check_mask(mask, 2, 4, exact=False)
    mask[0, :3] = True
    report = tnm.check_mask(mask, 2, 4, exact=False)
    assert report.violation.count == 3
    assert "2" in str(report.violation.expected)


def test_edge_tiles_may_keep_fewer() -> None:
    mask = tnm.transposable_mask(make_array((4, 4)), 2, 4)
    wide = np.concatenate([mask, np.zeros((4, 2), dtype=bool)], axis=1)
    assert tnm.check_mask(wide, 2, 4)
    wide[:, 4:] = True
    report = tnm.check_mask(wide, 2, 4)
    assert (report.violation.axis, tuple(report.violation.index)) == ("column", (0, 4))


@pytest.mark.parametrize("axis", [-1, -2, 0, 1, 2])
def test_row_wise(axis: int) -> None:
    array = make_array((8, 12, 16), seed=2)
    mask = tnm.nm_mask(array, 2, 4, axis=axis)
    assert tnm.check_mask(mask, 2, 4, transposable=False, axis=axis)
    others = [other for other in range(3) if other != axis % 3]
    for other in others:
        assert not tnm.check_mask(mask, 2, 4, transposable=False, axis=other)
    mask[1, 5, 6] ^= True
    report = tnm.check_mask(mask, 2, 4, transposable=False, axis=axis)
    first = [1, 5, 6]
    first[axis] = first[axis] // 4 * 4
    assert tuple(report.violation.index) == tuple(first)
    assert report.violation.count in (1, 3)
    # Both faults lie on one side of "at most": only an over-full group breaks it.
    at_most = tnm.check_mask(mask, 2, 4, transposable=False, axis=axis, exact=False)
    assert at_most.valid is (report.violation.count == 1)


def test_row_wise_violation_names_its_axis() -> None:
    mask = np.zeros((4, 8), dtype=bool)
    assert tnm.check_mask(mask, 2, 4, transposable=False).violation.axis == "row"
    assert tnm.check_mask(mask, 2, 4, transposable=False, axis=-2).violation.axis == "column"


def test_row_wise_first_violation_in_c_order() -> None:
    mask = tnm.nm_mask(make_array((6, 16)), 2, 4)
    mask[4, 1] ^= True
    mask[2, 13] ^= True
    report = tnm.check_mask(mask, 2, 4, transposable=False)
    assert tuple(report.violation.index) == (2, 12)


def test_row_wise_counts() -> None:
    mask = tnm.nm_mask(make_array((6, 18)), 2, 4)
    report = tnm.check_mask(mask, 2, 4, transposable=False)
    assert report
    np.testing.assert_array_equal(report.row_counts, references.group_counts(mask, 4))


@pytest.mark.parametrize("shape", [(0, 0), (0, 8), (8, 0), (0, 4, 4), (3, 0, 4)])
def test_empty(shape: tuple[int, ...]) -> None:
    _assert_report(np.zeros(shape, dtype=bool), 2, 4, True)
    assert tnm.is_transposable(np.zeros(shape, dtype=bool), 2, 4)


def test_counts_up_to_128() -> None:
    mask = np.ones((128, 128), dtype=bool)
    report = tnm.check_mask(mask, 128, 128)
    assert report
    assert (report.row_counts == 128).all()


def test_report_is_frozen() -> None:
    report = tnm.check_mask(np.zeros((4, 4), dtype=bool), 2, 4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.valid = True
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.violation.count = 2


def test_report_says_what_is_wrong_in_one_line() -> None:
    mask = np.zeros((1, 8, 8), dtype=bool)
    mask[0, :4, :4] = tnm.transposable_mask(make_array((4, 4)), 2, 4)
    told = str(tnm.check_mask(mask, 2, 4))
    for part in ("row", "0, 0, 4", "0", "2"):
        assert part in told
    assert "\n" not in told
