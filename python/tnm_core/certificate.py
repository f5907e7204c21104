"""The proof that a mask is optimal, and its verification."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import arguments
from tnm_core.arguments import Score
from tnm_core.exact_scores import EmptyPlaces, Tiles, TwoDoubles, largest_magnitudes, scores_of
from tnm_core.short_repr import short_repr
from tnm_core.tile_parts import Part, parts_of

__all__ = ["Certificate"]

# Squares whose largest is below 2 to this, of which float64 holds too few bits, have an exponent.
_LEAST_END = -1000


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
            not zero beyond its rows or columns), an edge tile has an offset, an offset or exponent
            does not fit the scores of its tile, the score of the mask stays more than `tolerance`
            below the bound, or `primal`, `dual` or `gap` are off by more than that on some tile;
            the message names the tile.

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
        shape = source.data.shape
        self._check_shapes((*shape[:-2], *(-(-size // self.m) for size in shape[-2:])), shape)
        for part in parts_of(shape, self.m):
            values = arguments.ScoreArray(part.entries(source.data), source.dtype)
            self._verify_part(part, values, part.entries(kept), tolerance)

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

    def _verify_part(
        self,
        part: Part,
        values: arguments.ScoreArray,
        kept: NDArray[np.bool_],
        tolerance: float,
    ) -> None:
        height, columns = values.data.shape[-2:]
        tiles = Tiles(height, columns, self.m)
        u, v = part.of_tiles(self.row_prices), part.of_tiles(self.column_prices)
        offset = part.of_tiles(self.offset)
        places = tiles.empty_places(kept, self.n)
        part.check(tiles.counts_hold(places, self.n), "the mask breaks the pattern")
        beyond = np.asarray(u[..., height:].any(axis=-1))
        beyond[..., -1] |= v[..., -1, tiles.last_width :].any(axis=-1)
        part.check(~beyond, "a price beyond the edge is not zero")
        if not tiles.full.all():
            below = (u.min(axis=-1) < 0) | (v.min(axis=-1) < 0)
            part.check(tiles.full | ~below, "a price of an edge tile is negative")
            part.check(tiles.full | (offset == 0), "an edge tile has an offset")
        self._verify_units(part, tiles, values)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            scores = scores_of(values, self.score, tiles, offset, part.of_tiles(self.exponent))
            self._verify_numbers(part, tiles, scores, kept, places, tolerance)

    def _verify_units(self, part: Part, tiles: Tiles, values: arguments.ScoreArray) -> None:
        """Check that offsets and exponents are no larger than scores, which they would hide."""
        offset, exponent = part.of_tiles(self.offset), part.of_tiles(self.exponent)
        largest = largest_magnitudes(values, tiles)
        ends = np.frexp(largest)[1].astype(np.int64)
        if self.score == "square":
            ends *= 2  # or one less
            with np.errstate(over="ignore", under="ignore"):
                largest = largest * largest
            part.check(
                (exponent != 0) | (ends >= _LEAST_END), "the exponent leaves squares at zero"
            )
        fits = (exponent == 0) | ((offset == 0) & (np.abs(exponent - ends) <= 1))
        part.check(fits, "the exponent is not that of the largest score")
        possible = np.abs(offset) <= largest  # neither NaN nor infinity are
        if values.data.dtype.kind in "iu" and values.dtype != "bfloat16":
            possible &= np.trunc(offset) == offset
        part.check(possible, "the offset is no difference of scores")

    def _verify_numbers(
        self,
        part: Part,
        tiles: Tiles,
        scores: TwoDoubles,
        kept: NDArray[np.bool_],
        places: EmptyPlaces,
        tolerance: float,
    ) -> None:
        if not tiles.full.all():
            # Never kept, nor worth more than its prices: what is below zero has no say on edge
            # tiles, however large.
            scores = scores.without(tiles.spread(~tiles.full) & ~kept & (scores.leading < 0))
        # A power of two per tile keeps sums where they are exact, next to overflow and far below
        # one alike.
        exponents = tiles.exponents(scores.leading)
        scores = scores.scaled(-exponents, tiles)
        u = part.of_tiles(self.row_prices)[..., : tiles.height].swapaxes(-1, -2)
        v = part.of_tiles(self.column_prices)
        if exponents.any():
            u = np.ldexp(u, -exponents[..., np.newaxis, :])
            v = np.ldexp(v, -exponents[..., np.newaxis])
        v = v.reshape(*v.shape[:-2], 1, -1)[..., : tiles.columns]
        difference = tiles.difference(scores, kept, u, v, places)
        kept_scores = scores.leading * kept
        primal = tiles.sums(kept_scores)
        magnitude = tiles.sums(np.abs(kept_scores, out=kept_scores))
        offset = part.of_tiles(self.offset)
        accepted = tolerance * magnitude
        if offset.any():
            whole = np.abs(scores.leading + tiles.spread(np.ldexp(offset, -exponents))) * kept
            accepted = np.minimum(accepted, tolerance * tiles.sums(whole))

        # Written so that a NaN fails.
        part.check(difference <= accepted, "the mask does not reach the bound")
        gap = part.of_tiles(self.gap)
        close = (gap >= 0) & (np.abs(gap * magnitude - difference) <= accepted)
        part.check(close, "the gap is not what it says")
        offsets = np.ldexp(offset, -exponents) * (self.n * tiles.height)
        for name, value in (("primal", primal + offsets), ("dual", primal + difference + offsets)):
            stored = part.of_tiles(getattr(self, name))
            near = accepted + tolerance * np.abs(offsets)
            close = np.abs(np.ldexp(stored, -exponents) - value) <= near
            # Beyond the largest float64 there is nothing but infinity to store.
            close |= np.isinf(stored) & (stored == np.ldexp(value, exponents))
            part.check(close, f"the {name} value is not what it says")


def empty_certificate(shape: tuple[int, ...], n: int, m: int, score: Score) -> Certificate:
    """Make room for the certificate of an array of some shape."""
    tiles = (*shape[:-2], -(-shape[-2] // m), -(-shape[-1] // m))
    # One block of memory: the system hands out one large block much faster than seven smaller ones.
    count = math.prod(tiles)
    block = np.empty(count * (2 * m + 5))
    prices = block[: count * 2 * m].reshape(2, *tiles, m)
    numbers = block[count * 2 * m :].reshape(5, *tiles)
    return Certificate(
        row_prices=prices[0],
        column_prices=prices[1],
        primal=numbers[0],
        dual=numbers[1],
        gap=numbers[2],
        offset=numbers[3],
        exponent=numbers[4].reshape(-1).view(np.int32)[:count].reshape(tiles),
        n=n,
        m=m,
        score=score,
    )
