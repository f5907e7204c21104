"""Scores of rows of tiles, exactly: as sums of two float64 where one does not hold them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tnm_core.arguments import Score, ScoreArray

__all__ = ["EmptyPlaces", "Tiles", "TwoDoubles", "largest_magnitudes", "scores_of"]

# Where the largest score of a tile is less extreme, sums neither over- nor underflow.
_EXTREME_EXPONENT = 100
# Of float64: from here on, not every integer is one.
_FIRST_GAP = 2**53
# Splits a float64 into halves whose products are exact (Veltkamp).
_SPLITTER = 2.0**27 + 1


class TwoDoubles(NamedTuple):
    """leading + rest, the rest being what rounding took; None where that is nothing."""

    leading: NDArray[np.float64]
    rest: NDArray[np.float64] | None

    def scaled(self, exponents: NDArray[Any], tiles: Tiles) -> TwoDoubles:
        """Multiply by a power of two for each tile."""
        if not exponents.any():
            return self
        shifts = tiles.spread(exponents)
        rest = None if self.rest is None else np.ldexp(self.rest, shifts)
        return TwoDoubles(np.ldexp(self.leading, shifts), rest)

    def without(self, ignored: NDArray[np.bool_]) -> TwoDoubles:
        """Put zeros somewhere."""
        rest = None if self.rest is None else np.where(ignored, 0.0, self.rest)
        return TwoDoubles(np.where(ignored, 0.0, self.leading), rest)

    def at(self, places: NDArray[np.intp]) -> TwoDoubles:
        """Take some of the numbers, counted in C order."""
        rest = None if self.rest is None else self.rest.reshape(-1)[places]
        return TwoDoubles(self.leading.reshape(-1)[places], rest)

    def less(self, u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute this - u - v, rounded once; u and v may be much larger than what is left."""
        partial, first_error = _subtract(self.leading, u)
        leading, second_error = _subtract(partial, v)
        error = second_error + first_error
        return np.asarray(leading + (error if self.rest is None else error + self.rest))


class EmptyPlaces(NamedTuple):
    """How many entries fewer than n are kept."""

    in_rows: NDArray[np.int16]  # (..., height, tile columns)
    in_columns: NDArray[np.int16]  # (..., columns)


class Tiles(NamedTuple):
    """Rows of tiles, and sums over each of them.

    Entries have shape (..., height, columns), what there is for each tile (..., tile columns).
    """

    height: int
    columns: int
    m: int

    @property
    def starts(self) -> NDArray[np.intp]:
        """The first column of each tile."""
        return np.arange(0, self.columns, self.m)

    @property
    def last_width(self) -> int:
        """Columns of the last tile."""
        return (self.columns - 1) % self.m + 1

    @property
    def full(self) -> NDArray[np.bool_]:
        """Whether tiles have m rows and m columns."""
        return np.asarray((self.columns - self.starts >= self.m) & (self.height == self.m))

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Repeat one value per tile to one per column, for all rows."""
        return np.repeat(values, self.m, axis=-1)[..., np.newaxis, : self.columns]

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up all entries of each tile."""
        return np.asarray(np.add.reduceat(values.sum(axis=-2), self.starts, axis=-1))

    def exponents(self, scores: NDArray[np.float64]) -> NDArray[np.intc]:
        """Give the power of two next above each tile's largest magnitude if extreme, else 0."""
        largest = np.maximum(scores.max(axis=-2), -scores.min(axis=-2))
        exponents = np.frexp(np.maximum.reduceat(largest, self.starts, axis=-1))[1]
        return np.where(np.abs(exponents) < _EXTREME_EXPONENT, 0, exponents)

    def empty_places(self, kept: NDArray[np.bool_], n: int) -> EmptyPlaces:
        """Count what is missing to n in all rows and columns of tiles."""
        # Sums of strided slices are much faster than sums over short axes.
        in_rows = np.zeros((*kept.shape[:-1], self.starts.size), dtype=np.int16)
        for j in range(min(self.m, self.columns)):
            column = kept[..., j :: self.m]
            in_rows[..., : column.shape[-1]] += column
        return EmptyPlaces(n - in_rows, n - kept.sum(axis=-2, dtype=np.int16))

    def counts_hold(self, empty: EmptyPlaces, n: int) -> NDArray[np.bool_]:
        """Tell whether each tile keeps n (full tiles) or at most n in every row and column."""
        rows, columns = empty
        most = np.maximum(rows.max(-2), np.maximum.reduceat(columns, self.starts, axis=-1))
        least = np.minimum(rows.min(-2), np.minimum.reduceat(columns, self.starts, axis=-1))
        return np.asarray((least >= 0) & (~self.full | (most == 0)))

    def difference(
        self,
        scores: TwoDoubles,
        kept: NDArray[np.bool_],
        u: NDArray[np.float64],
        v: NDArray[np.float64],
        empty: EmptyPlaces,
    ) -> NDArray[np.float64]:
        """Sum up dual - primal term by term, so that large prices cannot cancel to noise.

        What dropped entries are worth above their prices, kept ones below, and what the prices
        charge for places that an edge tile leaves empty. u is (..., height, tile columns),
        v (..., 1, columns).
        """
        empty_in_rows = (u * empty.in_rows).sum(axis=-2)
        empty_in_columns = np.add.reduceat(v[..., 0, :] * empty.in_columns, self.starts, axis=-1)
        u = np.repeat(u, self.m, axis=-1)[..., : self.columns]
        places = np.flatnonzero(self._may_differ(scores, kept, u, v))
        row, column = np.divmod(places, self.columns)
        columns_of_v = row // self.height * self.columns + column
        surplus = scores.at(places).less(u.reshape(-1)[places], v.reshape(-1)[columns_of_v])
        # NumPy's maximum hands a NaN on, so that the caller sees it.
        slack = np.maximum(0.0, np.where(kept.reshape(-1)[places], -surplus, surplus))
        tile = row // self.height * self.starts.size + column // self.m
        slacks = np.bincount(tile, weights=slack, minlength=empty_in_rows.size)
        return np.asarray(slacks.reshape(empty_in_rows.shape) + empty_in_rows + empty_in_columns)

    def _may_differ(
        self,
        scores: TwoDoubles,
        kept: NDArray[np.bool_],
        u: NDArray[np.float64],
        v: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """Leave out entries that agree with their prices for certain, and so add nothing.

        Two roundings take less than 2^-52 of what is left and of v together: where what is left is
        more than 2^-50 of v, its sign is right.
        """
        left = scores.leading - u
        if scores.rest is not None:
            return np.ones(left.shape, dtype=np.bool_)
        left -= v
        certain = np.abs(v) * 2.0**-50
        agrees = (left > certain) & kept
        agrees |= (left < -certain) & ~kept
        return np.asarray(~agrees)


def scores_of(
    values: ScoreArray,
    score: Score,
    tiles: Tiles,
    offset: NDArray[np.float64],
    exponent: NDArray[np.int32],
) -> TwoDoubles:
    """Compute (score - offset) * 2**-exponent, offset and exponent being those of each tile."""
    data = _numbers(values)
    if data.dtype.kind in "iu" and _largest_score(data, score) > _FIRST_GAP:
        return _of_wide_integers(data, score, tiles.spread(offset)).scaled(-exponent, tiles)
    wide = data.astype(np.float64)
    if score == "square":
        scores = _squares(wide, tiles, exponent)
    else:
        if score == "abs":
            np.abs(wide, out=wide)
        scores = TwoDoubles(wide, None).scaled(-exponent, tiles)
    if not offset.any():
        return scores
    leading, error = _subtract(scores.leading, tiles.spread(offset))
    return TwoDoubles(leading, error if scores.rest is None else error + scores.rest)


def largest_magnitudes(values: ScoreArray, tiles: Tiles) -> NDArray[np.float64]:
    """Give the largest magnitude of each tile, rounded once."""
    data = _numbers(values)
    largest, least = data.max(axis=-2).astype(np.float64), data.min(axis=-2).astype(np.float64)
    return np.asarray(np.maximum.reduceat(np.maximum(largest, -least), tiles.starts, axis=-1))


def _numbers(values: ScoreArray) -> NDArray[Any]:
    """Give the entries in a dtype of NumPy."""
    if values.dtype == "bfloat16":
        return np.asarray((values.data.astype(np.uint32) << np.uint32(16)).view(np.float32))
    return values.data


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


def _squares(values: NDArray[np.float64], tiles: Tiles, exponent: NDArray[np.int32]) -> TwoDoubles:
    """Square without rounding (Dekker), every tile scaled to where nothing over- or underflows."""
    scale = tiles.exponents(values)
    roots = TwoDoubles(values, None).scaled(-scale, tiles).leading
    product = roots * roots
    high = _SPLITTER * roots
    high = high - (high - roots)
    low = roots - high
    error = ((high * high - product) + 2 * high * low) + low * low
    rest = error if error.any() else None
    return TwoDoubles(product, rest).scaled(2 * scale - exponent, tiles)


def _subtract(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute a - b and what rounding took from it (Knuth's two-sum)."""
    difference = a - b
    minus_b = difference - a
    return difference, (a - (difference - minus_b)) - (b + minus_b)
