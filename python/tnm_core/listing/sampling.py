"""Drawing masks at random."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tnm_core import _core, arguments
from tnm_core.listing.tables import DEFAULT_MEMORY_CAP, mask_table, words_of
from tnm_core.pattern import PatternLike, as_transposable

# Draws at a time: what is drawn for a seed depends on it.
_DRAWS_AT_ONCE = 65536
_SEED_WORDS = 4
_TRADES_PER_ROW = 20


def sample_masks(
    n: PatternLike | int,
    m: int | None = None,
    size: int | tuple[int, ...] | None = None,
    rng: int | np.random.Generator | None = None,
    *,
    exact: bool = True,
    trades: int | None = None,
    memory_cap: int = DEFAULT_MEMORY_CAP,
    threads: int | None = None,
) -> NDArray[np.bool_]:
    """Draw transposable n:m masks of one tile, exactly uniformly.

    Every mask that keeps n in each row and column has the same probability, without the least bias:
    a number below the number of masks is drawn by rejection, in integers, and turned into the mask
    that belongs to it.

    Parameters
    ----------
    n, m : int
        The pattern, ``1 <= n <= m <= 128``. In place of both n may be a pattern, ``"2:4"``; what
        follows is then passed by name.
    size : int or tuple of int, optional
        How many masks, as in NumPy; by default a single one, without a leading axis.
    rng : numpy.random.Generator or int, optional
        Where the randomness comes from: a generator, which moves on, or a seed for
        ``numpy.random.default_rng``; by default a fresh one that is seeded by the system.
    exact : bool
        If False, draw with a Markov chain, the curveball algorithm, which needs no table and
        reaches every pattern. Its stationary distribution is uniform, but **how near to it a number
        of trades comes is not known**: take such masks for approximately uniform only.
    trades : int, optional
        Only with ``exact=False``: how many trades each mask goes through, by default ``20 * m``.
        Each mask has its own chain, which starts from a banded mask with its rows and columns
        shuffled; in a trade two random rows deal out afresh the columns that only one of them
        keeps.
    memory_cap : int
        The most bytes that the table for ``exact=True`` may take, as in `rank_mask`.
    threads : int, optional
        How many threads to use; by default as many as the work is worth. The masks do not depend
        on it, nor on the instruction set.

    Returns
    -------
    masks : ndarray of bool, shape (m, m), (size, m, m) or (*size, m, m)
        The masks, independent of each other.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or the table would exceed `memory_cap`.

    Notes
    -----
    The same arguments and generator state give the same masks on every machine. The chain is that
    of G. Strona et al., "A fast and unbiased procedure to randomize ecological binary matrices with
    fixed row and column totals", Nature Communications 5, 4114 (2014).

    Examples
    --------
    >>> import tnm_core as tnm
    >>> masks = tnm.sample_masks(4, 8, 1000, rng=0)
    >>> masks.shape, bool((masks.sum(axis=1) == 4).all()), bool((masks.sum(axis=2) == 4).all())
    ((1000, 8, 8), True, True)
    >>> tnm.is_transposable(tnm.sample_masks("32:64", rng=0, exact=False), "32:64")
    True
    """
    n, m = as_transposable(n, m).pair
    cap = arguments.as_integer("memory_cap", memory_cap, 0)
    shape = _shape(size)
    generator = _generator(rng)
    if not isinstance(exact, (bool, np.bool_)):
        raise TypeError(f"exact is {exact!r}, expected True or False")
    if exact and trades is not None:
        raise ValueError("trades is given, expected None unless exact=False: they are the chain's")
    count = math.prod(shape)
    workers = arguments.as_threads(threads, count * m * m)
    if exact:
        table = mask_table(n, m, cap)
        masks = np.empty((count, m, m), dtype=np.bool_)
        _sample_exactly(table, generator, masks, workers)
    else:
        number = _TRADES_PER_ROW * m if trades is None else trades
        number = arguments.as_integer("trades", number, 0, 2**62)
        masks = np.empty((count, m, m), dtype=np.bool_)
        seeds = generator.integers(0, 2**64, size=(count, _SEED_WORDS), dtype=np.uint64)
        _core.curveball_masks(n, m, number, seeds, masks, workers)
    return masks.reshape(*shape, m, m)


def _sample_exactly(
    table: _core.MaskTable, rng: np.random.Generator, masks: NDArray[np.bool_], threads: int
) -> None:
    done = 0
    for draws in _uniform_numbers(rng, table.total, table.words, len(masks)):
        table.sample(draws, masks[done : done + len(draws)], threads)
        done += len(draws)


def _uniform_numbers(
    rng: np.random.Generator, total: int, words: int, count: int
) -> Iterator[NDArray[np.uint64]]:
    """Yield `count` numbers below `total` in all, shape (k, words): drawn, and kept if below."""
    bound = words_of(total, words)[0]
    bits_on_top = total.bit_length() - 64 * (words - 1)
    while count > 0:
        draws = rng.integers(0, 2**64, size=(min(count, _DRAWS_AT_ONCE), words), dtype=np.uint64)
        draws[:, -1] >>= np.uint64(64 - bits_on_top)
        kept = draws[_below(draws, bound)]
        count -= len(kept)
        yield kept


def _below(numbers: NDArray[np.uint64], bound: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Compare numbers of several words, least significant first."""
    below = np.zeros(len(numbers), dtype=np.bool_)
    for k, word in enumerate(bound):
        below = (numbers[:, k] < word) | ((numbers[:, k] == word) & below)
    return below


def _shape(size: Any) -> tuple[int, ...]:
    if size is None:
        return ()
    sizes = size if isinstance(size, (tuple, list)) else (size,)
    return tuple(arguments.as_integer("size", length, 0) for length in sizes)


def _generator(rng: Any) -> np.random.Generator:
    if rng is None or isinstance(rng, np.random.Generator):
        return np.random.default_rng(rng)
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        return np.random.default_rng(arguments.as_integer("rng", rng, 0))
    raise TypeError(
        f"rng is a {type(rng).__name__}, expected a numpy.random.Generator, an integer seed or "
        "None; make one with numpy.random.default_rng"
    )
