"""Ranks of the units of a mask: tiles that keep n in each row and column, or groups that keep n.

The rank of a unit is its number among all that the pattern allows, from 0, in canonical order: the
lexicographic order of the entries in row-major order, where a dropped entry comes before a kept
one. That is the order of `tnm_core.rank_mask`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tnm_core.counting import count_margins
from tnm_core.listing import enumerate_masks, rank_masks, unrank_masks
from tnm_core.pattern import Pattern

Flags = NDArray[np.bool_]

_WIDEST_WORD = 16  # entries of a unit that a table of all words knows
_WIDEST_GROUP = 32
_LARGEST_TILE = 8  # of larger ones some are slow to rank, and some have tables of gigabytes
_TABLE_BYTES = 1 << 26


class UnitRanks(Protocol):
    """Ranks of the units of one pattern.

    Attributes
    ----------
    width : int
        Entries of a unit.
    count : int
        How many units there are, at least 2.
    """

    width: int
    count: int

    def rank(self, units: Flags) -> NDArray[Any]:
        """Rank units, shape (k, width); `ValueError` if one does not obey the pattern."""

    def unrank(self, ranks: NDArray[Any]) -> Flags:
        """Return the units of ranks below `count`, shape (k, width)."""


@lru_cache(maxsize=64)
def ranks_of(pattern: Pattern) -> UnitRanks | None:
    """Return the ranks of a pattern; None where none are known, or all entries are kept."""
    n, m = pattern.pair
    if n == m:
        return None
    if pattern.transposable:
        if m * m <= _WIDEST_WORD:
            codes = next(enumerate_masks(n, m, as_array=True))
            return WordRanks(codes.astype(np.uint32), m * m)
        return TileRanks(n, m) if m <= _LARGEST_TILE else None
    if m <= _WIDEST_WORD:
        words = np.arange(1 << m, dtype=np.uint32)
        kept = sum((words >> np.uint32(bit)) & np.uint32(1) for bit in range(m))
        return WordRanks(words[kept == n], m)
    return GroupRanks(n, m) if m <= _WIDEST_GROUP else None


class WordRanks:
    """Ranks of small units, from a table of all words of their bits; the first entry is highest."""

    def __init__(self, words: NDArray[np.uint32], width: int) -> None:
        self.width = width
        self.count = len(words)
        ranks = np.full(1 << width, self.count, dtype=np.min_scalar_type(self.count))
        ranks[words] = np.arange(self.count)
        self._ranks = ranks
        places = np.arange(width - 1, -1, -1, dtype=np.uint32)
        self._units = (words[:, None] >> places & np.uint32(1)).astype(np.bool_)

    def rank(self, units: Flags) -> NDArray[Any]:
        """Rank units, shape (k, width)."""
        ranks: NDArray[Any] = np.take(self._ranks, _words_of(units))
        if ranks.size and int(ranks.max()) == self.count:
            raise ValueError("a unit does not obey the pattern")
        return ranks

    def unrank(self, ranks: NDArray[Any]) -> Flags:
        """Return the units of ranks."""
        units: Flags = np.take(self._units, ranks, axis=0)
        return units


def _words_of(units: Flags) -> NDArray[Any]:
    """Read at most 16 entries of each unit as the bits of a number, the first one the highest."""
    count, width = units.shape
    if width == 16:
        return np.packbits(units.reshape(-1)).view(">u2")
    if width == 8:
        return np.packbits(units.reshape(-1))
    if width == 4:
        pairs = np.packbits(units.reshape(-1))
        return np.stack([pairs >> 4, pairs & 15], axis=1).reshape(-1)[:count]
    words = np.zeros(count, dtype=np.uint16)
    for entry in range(width):
        words <<= np.uint16(1)
        words |= units[:, entry]
    return words


class GroupRanks:
    """Ranks of groups that keep n of m <= 64, by the combinatorial number system.

    The rank is a sum over the kept entries: in how many ways those behind one keep all that was
    missing before it.
    """

    def __init__(self, n: int, m: int) -> None:
        self.width = m
        self.count = math.comb(m, n)
        self._n = n
        # Row k: in how many ways the last k entries keep 0, 1, .. n.
        ways = [[math.comb(rest, kept) for kept in range(n + 1)] for rest in range(m + 1)]
        self._ways = np.array(ways, dtype=np.uint64)

    def rank(self, units: Flags) -> NDArray[Any]:
        """Rank units, shape (k, width)."""
        if (units.sum(axis=1, dtype=np.uint8) != self._n).any():
            raise ValueError("a unit does not obey the pattern")
        ranks = np.zeros(len(units), dtype=np.uint64)
        missing = np.full(len(units), self._n)
        for entry in range(self.width):
            kept = units[:, entry]
            ranks += self._ways[self.width - 1 - entry][missing] * kept
            missing -= kept
        return ranks

    def unrank(self, ranks: NDArray[Any]) -> Flags:
        """Return the units of ranks."""
        units = np.empty((len(ranks), self.width), dtype=np.bool_)
        left = ranks.astype(np.uint64)
        missing = np.full(len(ranks), self._n)
        for entry in range(self.width):
            ways = self._ways[self.width - 1 - entry][missing]
            kept = left >= ways
            units[:, entry] = kept
            left -= ways * kept
            missing -= kept
        return units


class TileRanks:
    """Ranks of tiles that no table of words can hold, by `tnm_core.listing.rank_masks`."""

    def __init__(self, n: int, m: int) -> None:
        self.width = m * m
        self._pattern = Pattern(n, m)
        self.count = count_margins([n] * m, [n] * m)

    def rank(self, units: Flags) -> NDArray[Any]:
        """Rank units, shape (k, width)."""
        m = self._pattern.m
        tiles = units.reshape(-1, m, m)
        return rank_masks(tiles, self._pattern, memory_cap=_TABLE_BYTES)

    def unrank(self, ranks: NDArray[Any]) -> Flags:
        """Return the units of ranks."""
        tiles = unrank_masks(ranks, self._pattern, memory_cap=_TABLE_BYTES)
        return tiles.reshape(-1, self.width)
