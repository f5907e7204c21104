"""What is measured: a call on weights of some form, beside the headline of the same m."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.surface.target import Goal, half_of_the_headline

Array = NDArray[Any]
Call = Callable[[], object]

# The m of the headlines.
COLUMNS = (4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Job:
    """A call, and the array that it works on."""

    call: Call
    array: Array

    @property
    def entries(self) -> int:
        return self.array.size

    def copying(self) -> Call:
        """Return the call that copies the array, as it lies: what memory allows."""
        target = np.empty_like(self.array)
        return lambda: np.copyto(target, self.array)


# Makes the job for n:m; the side is that of a large square.
Maker = Callable[[int, int, int], Job]


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
        Makes the job.
    columns : tuple of int, optional
        The m of the headlines that it is measured beside.
    goal : function of m
        Gives the target.
    m, n : function of int
        Its m, for the m of a headline, and its n, for its m.
    beside : function as `make`, optional
        What it is compared with, if that is not the headline.
    processors : int
        How many it may use.
    """

    group: str
    name: str
    make: Maker
    columns: tuple[int, ...] = COLUMNS
    goal: Goal = half_of_the_headline
    m: Callable[[int], int] = int
    n: Callable[[int], int] = lambda m: m // 2
    beside: Maker | None = None
    processors: int = 1


def on(
    call: Callable[[Array, int, int], object], weights: Callable[[int, int, int], Array]
) -> Maker:
    """Make a case of a function of weights, n and m, and of the weights for n, m and a side."""

    def make(n: int, m: int, side: int) -> Job:
        given = weights(n, m, side)
        return Job(lambda: call(given, n, m), given)

    return make


def whole(side: int, m: int) -> int:
    """Return the multiple of m below a side."""
    return max(1, side // m) * m
