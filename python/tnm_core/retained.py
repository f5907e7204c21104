"""What masks retain: the scores that they keep, beside those of all entries."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from tnm_core import _core, arguments
from tnm_core.arguments import Score
from tnm_core.short_repr import short_repr

__all__ = ["RetainedScore", "retained_score"]


@dataclass(frozen=True, eq=False)
class RetainedScore:
    """What `retained_score` found.

    Attributes
    ----------
    kept, total : float
        The sum of the scores that the mask keeps, and of all.
    largest : float
        The largest magnitude of an entry, as float64.
    kept_entries, entries : int
        How many the mask keeps, and how many there are.
    """

    kept: float
    total: float
    largest: float
    kept_entries: int
    entries: int

    __repr__ = short_repr

    @property
    def share(self) -> float:
        """Share of the total score that is kept.

        1 where both are zero, NaN where both are infinite. It means something for scores that are
        not negative; of identity it may be anything.
        """
        if self.total:
            return self.kept / self.total
        return float("nan") if self.kept else 1.0

    @property
    def density(self) -> float:
        """Share of the entries that are kept; NaN if there are none."""
        return self.kept_entries / self.entries if self.entries else float("nan")

    def __str__(self) -> str:
        return f"{self.share:.4f} of the score in {self.density:.4f} of the entries"


def retained_score(
    array: ArrayLike, mask: ArrayLike, *, score: Score = "abs", threads: int | None = None
) -> RetainedScore:
    """Add up the scores that a mask keeps, and all of them.

    Parameters
    ----------
    array : array_like, shape (..., rows, columns)
        The weights; dtypes and strides as in `transposable_mask`.
    mask : array_like of bool (or integers 0 and 1), shape of `array`
        What is kept, of any pattern or none.
    score : {"abs", "square", "identity"}
        What a kept entry is worth.
    threads : int, optional
        As in `transposable_mask`.

    Returns
    -------
    RetainedScore
        Sums are of float64. Their order depends on the shape alone, so that strides, threads and
        instruction set change no bit. Where they overflow they are infinite, or NaN if both signs
        do.

    Raises
    ------
    TypeError
        If the dtype of `array` or `mask` is none of those named, or `threads` is not an integer.
    ValueError
        If an entry is NaN or infinite, the shapes differ or have fewer than two axes, or `score` or
        `threads` is none of those named.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> weights = np.random.default_rng(0).normal(size=(64, 64))
    >>> found = tnm.retained_score(weights, tnm.transposable_mask(weights, "2:4"))
    >>> print(found)
    0.6957 of the score in 0.5000 of the entries
    """
    score = arguments.as_score(score)
    source = arguments.as_score_array(array)
    flags = arguments.as_mask(mask)
    if flags.shape != source.data.shape:
        raise ValueError(
            f"mask has shape {flags.shape}, expected {source.data.shape}, the shape of the array"
        )
    count = arguments.as_threads(threads, source.data.size)
    found = _core.retained_score(source.data, source.dtype, flags, score, count)
    if found is None:
        arguments.refuse_non_finite(source, count)
    return RetainedScore(*found, source.data.size)
