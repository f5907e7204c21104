"""Arrays that another thread changes while they are read: no mask that was not written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tnm_core as tnm
from tnm_core import _core

CALLS: dict[str, Callable[[np.ndarray], Any]] = {
    "mask": lambda array: tnm.transposable_mask(array, 2, 4),
    "certificate": lambda array: tnm.transposable_mask(array, 2, 4, return_certificate=True),
    "approximation": lambda array: tnm.transposable_mask(array, 2, 4, method="greedy"),
    "rowwise": lambda array: tnm.nm_mask(array, 2, 4),
    "retained": lambda array: tnm.retained_score(array, np.ones(array.shape, dtype=np.bool_)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_nan_that_vanishes(call: Callable[[np.ndarray], Any], monkeypatch: Any) -> None:
    """The solver met it, the search for its place does not: refused all the same."""
    array = np.ones((8, 8))
    array[3, 5] = np.nan
    search = _core.find_non_finite

    def repair_and_search(*arguments: Any) -> int | None:
        array[3, 5] = 1.0
        return search(*arguments)

    monkeypatch.setattr(_core, "find_non_finite", repair_and_search)
    with pytest.raises(ValueError, match="another thread writes to it"):
        call(array)
