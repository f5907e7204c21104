"""Scores of a row of tiles, exactly: as sums of two float64 where one does not hold them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tnm_core.arguments import Score, ScoreArray

__all__ = ["Band", "TwoDoubles", "scores_of"]

# Of float64: from here on, not every integer is one.
_FIRST_GAP = 2**53
# Splits a float64 into halves whose products are exact (Veltkamp).
_SPLITTER = 2.0**27 + 1


class TwoDoubles(NamedTuple):
    """leading + rest, the rest being what rounding took."""

    leading: NDArray[np.float64]
    rest: NDArray[np.float64]

    def scaled(self, exponents: NDArray[Any]) -> TwoDoubles:
        """Multiply by powers of two."""
        return TwoDoubles(np.ldexp(self.leading, exponents), np.ldexp(self.rest, exponents))

    def where(self, wanted: NDArray[np.bool_]) -> TwoDoubles:
        """Put zeros elsewhere."""
        return TwoDoubles(np.where(wanted, self.leading, 0.0), np.where(wanted, self.rest, 0.0))

    def less(self, u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute this - u - v, rounded once; u and v may be much larger than what is left."""
        partial, first_error = _subtract(self.leading, u)
        leading, second_error = _subtract(partial, v)
        return np.asarray(leading + (second_error + first_error + self.rest))


class Band(NamedTuple):
    """One row of tiles, and sums over each of them."""

    starts: NDArray[np.intp]
    height: int
    columns: int
    m: int

    @property
    def widths(self) -> NDArray[np.intp]:
        """Columns of each tile."""
        return np.minimum(self.m, self.columns - self.starts)

    @property
    def full(self) -> NDArray[np.bool_]:
        """Whether tiles have m rows and m columns."""
        return np.asarray((self.widths == self.m) & (self.height == self.m))

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Repeat one value per tile to one per column."""
        return np.repeat(values, self.widths, axis=-1)

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up all entries of each tile."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=1).sum(axis=0))

    def exponents(self, scores: NDArray[np.float64]) -> NDArray[np.intc]:
        """Give the power of two next above each tile's largest magnitude."""
        largest = np.maximum.reduceat(np.abs(scores).max(axis=0), self.starts)
        return np.frexp(largest)[1]

    def counts_hold(self, kept: NDArray[np.bool_], n: int) -> NDArray[np.bool_]:
        """Tell whether each tile keeps n (full tiles) or at most n in every row and column."""
        in_rows = np.add.reduceat(kept, self.starts, axis=1, dtype=np.intp)
        in_columns = kept.sum(axis=0)
        most = np.maximum(in_rows.max(axis=0), np.maximum.reduceat(in_columns, self.starts))
        least = np.minimum(in_rows.min(axis=0), np.minimum.reduceat(in_columns, self.starts))
        return np.asarray((most <= n) & (~self.full | (least == n)))

    def difference(
        self,
        scores: TwoDoubles,
        kept: NDArray[np.bool_],
        u: NDArray[np.float64],
        v: NDArray[np.float64],
        n: int,
    ) -> NDArray[np.float64]:
        """Sum up dual - primal term by term, so that large prices cannot cancel to noise.

        What dropped entries are worth above their prices, kept ones below, and what the prices
        charge for places that an edge tile leaves empty.
        """
        surplus = scores.less(self.spread(u), v)
        slack = np.maximum(0.0, np.where(kept, -surplus, surplus))
        # NumPy's maximum hands a NaN on, so that the caller sees it.
        in_rows = np.add.reduceat(kept, self.starts, axis=1, dtype=np.intp)
        empty_in_rows = (u * (n - in_rows)).sum(axis=0)
        empty_in_columns = np.add.reduceat(v * (n - kept.sum(axis=0)), self.starts)
        return np.asarray(self.sums(slack) + empty_in_rows + empty_in_columns)


def scores_of(
    values: ScoreArray,
    score: Score,
    tiles: Band,
    offset: NDArray[np.float64],
    exponent: NDArray[np.int32],
) -> TwoDoubles:
    """Compute (score - offset) * 2**-exponent, offset and exponent being those of each tile."""
    data = values.data
    if values.dtype == "bfloat16":
        data = (data.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if data.dtype.kind in "iu" and _largest_score(data, score) > _FIRST_GAP:
        return _of_wide_integers(data, score, tiles.spread(offset)).scaled(-tiles.spread(exponent))
    wide = data.astype(np.float64)
    if score == "square":
        squares = _squares(wide, tiles, exponent)
    else:
        plain = np.abs(wide) if score == "abs" else wide
        squares = TwoDoubles(plain, np.zeros_like(plain)).scaled(-tiles.spread(exponent))
    leading, error = _subtract(squares.leading, tiles.spread(offset))
    return TwoDoubles(leading, error + squares.rest)


def _largest_score(data: NDArray[Any], score: Score) -> int:
    largest = max(abs(int(data.min())), abs(int(data.max())))
    return largest**2 if score == "square" else largest


def _of_wide_integers(data: NDArray[Any], score: Score, offset: NDArray[np.float64]) -> TwoDoubles:
    """Compute scores less the offsets in Python's integers."""
    scores = data.astype(object)
    if score != "identity":
        scores = np.abs(scores) if score == "abs" else scores * scores
    exact = scores - _as_integers(offset)
    leading = exact.astype(np.float64)
    return TwoDoubles(leading, (exact - _as_integers(leading)).astype(np.float64))


def _as_integers(values: NDArray[np.float64]) -> NDArray[Any]:
    integers = np.empty(values.size, dtype=object)
    integers[:] = [int(value) for value in values.ravel().tolist()]
    return integers.reshape(values.shape)


def _squares(values: NDArray[np.float64], tiles: Band, exponent: NDArray[np.int32]) -> TwoDoubles:
    """Square without rounding (Dekker), every tile scaled to where nothing over- or underflows."""
    scale = tiles.exponents(values)
    roots = np.ldexp(values, -tiles.spread(scale))
    product = roots * roots
    high = _SPLITTER * roots
    high = high - (high - roots)
    low = roots - high
    error = ((high * high - product) + 2 * high * low) + low * low
    return TwoDoubles(product, error).scaled(tiles.spread(2 * scale - exponent))


def _subtract(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute a - b and what rounding took from it (Knuth's two-sum)."""
    difference = a - b
    minus_b = difference - a
    return difference, (a - (difference - minus_b)) - (b + minus_b)
