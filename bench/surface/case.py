"""What is measured: a call on weights of some form, beside the headline of the same m."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Call = Callable[[], object]
# A call for n:m, and the number of entries that it works on. The side is that of a large square.
Maker = Callable[[int, int, int], tuple[Call, int]]

THREADS = 1


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Attributes
    ----------
    group : str
        What the case varies.
    name : str
        How.
    make : function of n, m and side
        Makes the call.
    of_m : tuple of int, optional
        The m that it is measured at, if not all.
    """

    group: str
    name: str
    make: Maker
    of_m: tuple[int, ...] | None = None


def on(
    call: Callable[[Array, int, int], object], weights: Callable[[int, int, int], Array]
) -> Maker:
    """Make a case of a function of weights, n and m, and of the weights for n, m and a side."""

    def make(n: int, m: int, side: int) -> tuple[Call, int]:
        given = weights(n, m, side)
        return lambda: call(given, n, m), given.size

    return make


def whole(side: int, m: int) -> int:
    """Return the multiple of m below a side."""
    return max(1, side // m) * m


def empty_mask(weights: Array, order: str) -> NDArray[np.bool_]:
    """Return a mask in an order of axes, its pages touched."""
    mask = np.empty(weights.shape, dtype=np.bool_, order="F" if order == "F" else "C")
    mask.fill(False)
    return mask
