"""The proof that a mask is optimal, and its verification."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import arguments
from tnm_core.arguments import Score
from tnm_core.exact_scores import Band, TwoDoubles, scores_of
from tnm_core.short_repr import short_repr

__all__ = ["Certificate"]


@dataclass(frozen=True, eq=False)
class Certificate:
    """Dual prices that bound the score of every mask, one proof per tile.

    By linear programming duality no mask of a full tile with scores s scores more than ::

        dual = n * sum(u) + n * sum(v) + sum(max(0, s - u[:, None] - v[None, :]))

    for any row prices u and column prices v; on edge tiles (at most n) this holds for u, v >= 0. A
    mask whose own score reaches that bound is optimal. Taking the same offset from all scores of a
    full tile changes no comparison of masks, so that s may stand for scores less `offset`.

    Attributes
    ----------
    row_prices, column_prices : ndarray of float64, shape (..., tile_rows, tile_columns, m)
        u and v of every tile, zero beyond an edge tile's rows and columns.
    primal : ndarray of float64, shape (..., tile_rows, tile_columns)
        The total score of what the mask keeps, offset included. Infinite if that is beyond float64.
    dual : ndarray of float64, shape (..., tile_rows, tile_columns)
        The bound, offset included. Infinite if that is beyond float64; the gap is not.
    gap : ndarray of float64, shape (..., tile_rows, tile_columns)
        (dual - primal) / (sum of abs(score) over kept entries); never negative. Rounding apart
        (about 1e-15) it is zero.
    offset : ndarray of float64, shape (..., tile_rows, tile_columns)
        What was taken from all scores of a tile first: zero, but for full tiles of long numbers
        close together (such as integers near 2**60), so that prices and gap tell them apart.
    exponent : ndarray of int32, shape (..., tile_rows, tile_columns)
        Prices, primal, dual and offset count in units of ``2.0**exponent``: zero, but where squares
        are beyond the range of float64.
    n, m : int
        The pattern.
    score : {"abs", "square", "identity"}
        What a kept entry was worth.

    Notes
    -----
    Everything is computed from the values passed, in float64 with compensated sums, by code that
    knows nothing of the solver; where float64 does not hold a score, in two of them. `verify`
    repeats it in NumPy alone.

    Only scores of both signs (``score="identity"``) can leave a larger gap: where a tile keeps next
    to nothing and has to drop large positive scores, prices in float64 are too coarse to prove more
    than about 1e-16 of the largest score. The mask is optimal there as well.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> weights = np.random.default_rng(0).normal(size=(64, 64))
    >>> mask, proof = tnm.transposable_mask(weights, 4, 8, return_certificate=True)
    >>> proof.worst_gap < 1e-9
    True
    >>> proof.verify(weights, mask)
    """

    row_prices: NDArray[np.float64]
    column_prices: NDArray[np.float64]
    primal: NDArray[np.float64]
    dual: NDArray[np.float64]
    gap: NDArray[np.float64]
    offset: NDArray[np.float64]
    exponent: NDArray[np.int32]
    n: int
    m: int
    score: Score

    __repr__ = short_repr

    @property
    def worst_gap(self) -> float:
        """Largest relative gap of any tile; 0.0 if there are no tiles."""
        return float(self.gap.max(initial=0.0))

    def verify(self, array: ArrayLike, mask: ArrayLike, *, tolerance: float = 1e-9) -> None:
        """Check the whole proof again, in NumPy alone.

        Parameters
        ----------
        array : array_like, shape (..., rows, columns)
            What the mask was computed from.
        mask : array_like of bool, same shape
            The mask.
        tolerance : float
            The largest gap to accept, relative to the sum of abs(score) over kept entries.

        Raises
        ------
        ValueError
            If the mask breaks the pattern, a price is not allowed (below zero on an edge tile, or
            not zero beyond its rows or columns), an edge tile has an offset, the score of the mask
            stays more than `tolerance` below the bound, or `primal`, `dual` or `gap` are off by
            more than that on some tile; the message names the tile.

        Examples
        --------
        >>> import numpy as np
        >>> import tnm_core as tnm
        >>> weights = np.eye(4)
        >>> mask, proof = tnm.transposable_mask(weights, 1, 4, return_certificate=True)
        >>> proof.verify(weights, mask)
        """
        source = arguments.as_score_array(array)
        kept = arguments.as_array(mask, "mask")
        if kept.dtype == np.bool_:
            kept = arguments.plain_flags(kept)
        if kept.shape != source.data.shape or kept.dtype != np.bool_:
            raise ValueError(
                f"mask has shape {kept.shape} and dtype {kept.dtype}, expected the array's shape "
                f"{source.data.shape} and bool"
            )
        rows, columns = source.data.shape[-2:]
        grid = (*source.data.shape[:-2], -(-rows // self.m), -(-columns // self.m))
        self._check_shapes(grid, source.data.shape)
        for tile_row in np.ndindex(*grid[:-1]):
            start = tile_row[-1] * self.m
            band = (*tile_row[:-1], slice(start, min(start + self.m, rows)))
            values = arguments.ScoreArray(source.data[band], source.dtype)
            self._verify_band(tile_row, values, kept[band], tolerance)

    def _check_shapes(self, grid: tuple[int, ...], shape: tuple[int, ...]) -> None:
        expected = {
            "row_prices": (*grid, self.m),
            "column_prices": (*grid, self.m),
            "primal": grid,
            "dual": grid,
            "gap": grid,
            "offset": grid,
            "exponent": grid,
        }
        for name, wanted in expected.items():
            found = getattr(self, name).shape
            if found != wanted:
                raise ValueError(
                    f"the certificate's {name} has shape {found}, expected {wanted} for an array "
                    f"of shape {shape}"
                )

    def _verify_band(
        self,
        tile_row: tuple[int, ...],
        values: arguments.ScoreArray,
        kept: NDArray[np.bool_],
        tolerance: float,
    ) -> None:
        """Verify one row of tiles: `values` and `kept` have shape (<= m, columns)."""
        height, columns = values.data.shape
        if columns == 0:
            return
        tiles = Band(np.arange(0, columns, self.m), height, columns, self.m)
        all_u, all_v = self.row_prices[tile_row], self.column_prices[tile_row]
        last_width = int(tiles.widths[-1])
        beyond = all_u[:, height:].any(axis=1)
        beyond[-1] |= bool(all_v[-1, last_width:].any())
        _check(tiles.counts_hold(kept, self.n), tile_row, "the mask breaks the pattern")
        _check(~beyond, tile_row, "a price beyond the edge is not zero")
        below = (all_u.min(axis=1) < 0) | (all_v.min(axis=1) < 0)
        _check(tiles.full | ~below, tile_row, "a price of an edge tile is negative")
        offset = self.offset[tile_row]
        _check(tiles.full | (offset == 0), tile_row, "an edge tile has an offset")
        possible = np.isfinite(offset)
        if values.data.dtype.kind in "iu" and values.dtype != "bfloat16":
            possible &= np.trunc(offset) == offset
        _check(possible, tile_row, "the offset is no difference of scores")

        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            scores = scores_of(values, self.score, tiles, offset, self.exponent[tile_row])
            self._verify_numbers(tile_row, tiles, scores, kept, tolerance)

    def _verify_numbers(
        self,
        tile_row: tuple[int, ...],
        tiles: Band,
        scores: TwoDoubles,
        kept: NDArray[np.bool_],
        tolerance: float,
    ) -> None:
        # A power of two per tile keeps sums where they are exact, next to overflow and far below
        # one alike.
        if not tiles.full.all():
            # Never kept, nor worth more than its prices: what is below zero has no say on edge
            # tiles, however large.
            ignored = tiles.spread(~tiles.full) & ~kept & (scores.leading < 0)
            scores = scores.where(~ignored)
        exponents = tiles.exponents(scores.leading)
        scores = scores.scaled(-tiles.spread(exponents))
        u = np.ldexp(self.row_prices[tile_row][:, : tiles.height], -exponents[:, None]).T
        v = np.ldexp(self.column_prices[tile_row], -exponents[:, None])
        difference = tiles.difference(scores, kept, u, v.reshape(-1)[: tiles.columns], self.n)
        primal = tiles.sums(np.where(kept, scores.leading, 0.0))
        magnitude = tiles.sums(np.where(kept, np.abs(scores.leading), 0.0))
        accepted = tolerance * magnitude

        # Written so that a NaN fails.
        _check(difference <= accepted, tile_row, "the mask does not reach the bound")
        gap = self.gap[tile_row]
        close = (gap >= 0) & (np.abs(gap * magnitude - difference) <= accepted)
        _check(close, tile_row, "the gap is not what it says")
        offsets = np.ldexp(self.offset[tile_row], -exponents) * (self.n * tiles.height)
        for name, value in (("primal", primal + offsets), ("dual", primal + difference + offsets)):
            stored = getattr(self, name)[tile_row]
            near = accepted + tolerance * np.abs(offsets)
            close = np.abs(np.ldexp(stored, -exponents) - value) <= near
            # Beyond the largest float64 there is nothing but infinity to store.
            close |= np.isinf(stored) & (stored == np.ldexp(value, exponents))
            _check(close, tile_row, f"the {name} value is not what it says")


def empty_certificate(shape: tuple[int, ...], n: int, m: int, score: Score) -> Certificate:
    """Make room for the certificate of an array of some shape."""
    tiles = (*shape[:-2], -(-shape[-2] // m), -(-shape[-1] // m))
    return Certificate(
        row_prices=np.empty((*tiles, m)),
        column_prices=np.empty((*tiles, m)),
        primal=np.empty(tiles),
        dual=np.empty(tiles),
        gap=np.empty(tiles),
        offset=np.empty(tiles),
        exponent=np.empty(tiles, dtype=np.int32),
        n=n,
        m=m,
        score=score,
    )


def _check(holds: NDArray[np.bool_], tile_row: tuple[int, ...], reason: str) -> None:
    if not holds.all():
        tile = (*tile_row, int(np.argmin(holds)))
        raise ValueError(f"the certificate does not hold on tile {tile}: {reason}")
