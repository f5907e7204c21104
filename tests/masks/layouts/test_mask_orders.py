"""Masks in Fortran order: those of C order, for arrays in either order.

At n:4 rows and columns change places on the way, and ties are not broken alike in both; the shapes
reach over several strips and blocks, end within one, and have edge tiles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tnm_core as tnm
from tests.support.arrays import DTYPES, make_array

SHAPES = [(128, 256), (330, 150), (67, 131), (2100, 72), (2, 96, 80)]
ORDERS = ("C", "F")


def ordered(values: np.ndarray, order: str) -> np.ndarray:
    """Lay out each matrix in an order, with room behind its lines."""
    if order == "C":
        return values
    rows, columns = values.shape[-2:]
    larger = np.zeros((*values.shape[:-2], columns + 1, rows + 3), dtype=values.dtype)
    window: np.ndarray = larger.swapaxes(-1, -2)[..., :rows, :columns]
    window[...] = values
    return window


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("distribution", ["normal", "ties", "binary"])
def test_orders_of_array_and_mask(dtype: str, distribution: str, shape: tuple[int, ...]) -> None:
    values = make_array(shape, dtype, distribution, seed=len(dtype))
    for n, score in [(1, "abs"), (2, "abs"), (2, "square"), (2, "identity"), (3, "identity")]:
        options: dict[str, Any] = {"score": score}
        expected = tnm.transposable_mask(values, n, 4, **options)
        for order in ORDERS:
            array = ordered(values, order)
            out = ordered(np.ones(shape, dtype=np.bool_), "F")
            tnm.transposable_mask(array, n, 4, out=out, **options)
            np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_not_finite_is_found(order: str) -> None:
    for row, column in [(0, 0), (77, 41), (329, 149), (328, 3), (5, 148)]:
        values = make_array((330, 150), "float32", seed=row)
        values[row, column] = np.nan
        out = np.ones(values.shape, dtype=np.bool_, order="F")
        with pytest.raises(ValueError, match="expected finite"):
            tnm.transposable_mask(ordered(values, order), 2, 4, out=out)
        assert out.all()


@pytest.mark.parametrize("order", ORDERS)
def test_they_go_straight(order: str) -> None:
    values = ordered(make_array((128, 256), "float32", seed=1), order)
    out = np.ones(values.shape, dtype=np.bool_, order="F")
    assert tnm.explain_path(values, 2, 4, out=out).straight
    assert tnm.explain_path(values, 1, 4, out=out).straight == (order == "F")
    for dtype, turned in ((np.int8, True), (np.int16, False)):
        integers = values.astype(dtype)
        assert tnm.explain_path(integers, 2, 4, out=out).straight == (turned or order == "F")
