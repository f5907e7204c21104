"""The proof that a mask is optimal, and its verification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import _arguments
from tnm_core._arguments import Score

__all__ = ["Certificate"]


@dataclass(frozen=True, eq=False)
class Certificate:
    """Dual prices that bound the score of every mask, one proof a tile.

    By linear programming duality no mask of a full tile with scores s scores more than ::

        dual = n * sum(u) + n * sum(v) + sum(max(0, s - u[:, None] - v[None, :]))

    for any row prices u and column prices v; on edge tiles (at most n) this holds for u, v >= 0. A
    mask whose own score reaches that bound is optimal.

    Attributes
    ----------
    row_prices, column_prices : ndarray of float64, shape (..., tile_rows, tile_columns, m)
        u and v of every tile, zero beyond an edge tile's rows and columns.
    primal : ndarray of float64, shape (..., tile_rows, tile_columns)
        The total score of what the mask keeps.
    dual : ndarray of float64, shape (..., tile_rows, tile_columns)
        The bound.
    gap : ndarray of float64, shape (..., tile_rows, tile_columns)
        (dual - primal) / (sum of abs(score) over kept entries); never negative. Rounding apart
        (about 1e-15) it is zero.
    n, m : int
        The pattern.
    score : {"abs", "square", "identity"}
        What a kept entry was worth.

    Notes
    -----
    Everything is computed in float64 from the values passed, with compensated sums, by code that
    knows nothing of the solver. `verify` repeats it in NumPy alone.

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
    n: int
    m: int
    score: Score

    @classmethod
    def _empty(cls, shape: tuple[int, ...], n: int, m: int, score: Score) -> Certificate:
        tiles = (*shape[:-2], -(-shape[-2] // m), -(-shape[-1] // m))
        return cls(
            row_prices=np.empty((*tiles, m)),
            column_prices=np.empty((*tiles, m)),
            primal=np.empty(tiles),
            dual=np.empty(tiles),
            gap=np.empty(tiles),
            n=n,
            m=m,
            score=score,
        )

    @property
    def worst_gap(self) -> float:
        """The largest relative gap of any tile; 0.0 if there are no tiles."""
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
            The largest relative gap to accept.

        Raises
        ------
        ValueError
            If the mask breaks the pattern, a price is not allowed, or the score of the mask stays
            more than `tolerance` below the bound on some tile; the message names the tile.

        Examples
        --------
        >>> import numpy as np
        >>> import tnm_core as tnm
        >>> weights = np.eye(4)
        >>> mask, proof = tnm.transposable_mask(weights, 1, 4, return_certificate=True)
        >>> proof.verify(weights, mask)
        """
        source = _arguments.score_array(array)
        kept = np.asarray(mask)
        rows, columns = source.data.shape[-2:]
        expected = (*source.data.shape[:-2], -(-rows // self.m), -(-columns // self.m))
        if kept.shape != source.data.shape or kept.dtype != np.bool_:
            raise ValueError(
                f"mask has shape {kept.shape} and dtype {kept.dtype}, expected the array's shape "
                f"{source.data.shape} and bool"
            )
        if self.gap.shape != expected:
            raise ValueError(
                f"the certificate is for a grid of tiles of shape {self.gap.shape}, expected "
                f"{expected} for an array of shape {source.data.shape}"
            )
        for tile_row in np.ndindex(*expected[:-1]):
            start = tile_row[-1] * self.m
            stop = min(start + self.m, rows)
            band = (*tile_row[:-1], slice(start, stop))
            self._verify_band(tile_row, _as_float64(source, band), kept[band], tolerance)

    def _verify_band(
        self,
        tile_row: tuple[int, ...],
        values: NDArray[np.float64],
        kept: NDArray[np.bool_],
        tolerance: float,
    ) -> None:
        """Verify one row of tiles: `values` and `kept` have shape (<= m, columns)."""
        height, columns = values.shape
        if columns == 0:
            return
        scores = _scores(values, self.score)
        starts = np.arange(0, columns, self.m)
        widths = np.minimum(self.m, columns - starts)
        full = (widths == self.m) & (height == self.m)
        u = self.row_prices[tile_row][:, :height]
        v = self.column_prices[tile_row].reshape(-1)[:columns]

        _require(_counts_hold(kept, starts, full, self.n), tile_row, "the mask breaks the pattern")
        negative = (u.min(axis=1) < 0) | (np.minimum.reduceat(v, starts) < 0)
        _require(full | ~negative, tile_row, "a price of an edge tile is negative")

        surplus = np.maximum(0.0, scores - np.repeat(u.T, widths, axis=1) - v)
        bound = _tile_sums(surplus, starts) + self.n * (u.sum(axis=1) + np.add.reduceat(v, starts))
        primal = _tile_sums(np.where(kept, scores, 0.0), starts)
        magnitude = _tile_sums(np.where(kept, np.abs(scores), 0.0), starts)
        # Written so that a NaN fails.
        _require(
            bound - primal <= tolerance * magnitude, tile_row, "the mask does not reach the bound"
        )


def _as_float64(source: _arguments.ScoreArray, band: tuple[Any, ...]) -> NDArray[np.float64]:
    values = source.data[band]
    if source.dtype == "bfloat16":
        values = (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.asarray(values, dtype=np.float64)


def _scores(values: NDArray[np.float64], score: Score) -> NDArray[np.float64]:
    if score == "abs":
        return np.abs(values)
    return np.square(values) if score == "square" else values


def _tile_sums(values: NDArray[np.float64], starts: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.asarray(np.add.reduceat(values, starts, axis=1).sum(axis=0))


def _counts_hold(
    kept: NDArray[np.bool_], starts: NDArray[np.intp], full: NDArray[np.bool_], n: int
) -> NDArray[np.bool_]:
    """Whether each tile keeps n (full tiles) or at most n in every row and column."""
    in_rows = np.add.reduceat(kept, starts, axis=1, dtype=np.intp)
    in_columns = kept.sum(axis=0)
    most = np.maximum(in_rows.max(axis=0), np.maximum.reduceat(in_columns, starts))
    least = np.minimum(in_rows.min(axis=0), np.minimum.reduceat(in_columns, starts))
    return np.asarray((most <= n) & (~full | (least == n)))


def _require(holds: NDArray[np.bool_], tile_row: tuple[int, ...], reason: str) -> None:
    if not holds.all():
        tile = (*tile_row, int(np.argmin(holds)))
        raise ValueError(f"the certificate does not hold on tile {tile}: {reason}")
