"""Listing and drawing masks the way one does without a library for it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray


def enumerate_rows(n: int, m: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Backtrack over the rows, with itertools; yields the kept columns of each row."""
    rows = list(combinations(range(m), n))

    def fill(
        done: tuple[tuple[int, ...], ...], needs: tuple[int, ...]
    ) -> Iterator[tuple[tuple[int, ...], ...]]:
        left = m - len(done)
        if left == 0:
            yield done
            return
        for row in rows:
            rest = tuple(need - (j in row) for j, need in enumerate(needs))
            if min(rest) >= 0 and max(rest) < left:
                yield from fill((*done, row), rest)

    return fill((), (n,) * m)


def rejection_sample(n: int, m: int, draws: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw rows independently in NumPy; keep the matrices whose columns are right as well."""
    order = rng.random((draws, m, m)).argsort(axis=2)
    masks = order < n
    return masks[(masks.sum(axis=1) == n).all(axis=1)]
