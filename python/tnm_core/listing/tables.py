"""Tables of the masks of one pattern, kept between calls."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tnm_core import _core, arguments

DEFAULT_MEMORY_CAP = 2**30
# The table used last is kept whatever its size.
_KEPT_BYTES = 2**28


class _Entry:
    """A table that one thread builds while others wait for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.table: _core.MaskTable | None = None


class _Cache:
    """The tables used last, as many as fit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[int, int], _Entry] = OrderedDict()

    def get(self, n: int, m: int, memory_cap: int) -> _core.MaskTable:
        """Return the table of n:m, built if need be; `ValueError` if it takes more than the cap."""
        with self._lock:
            entry = self._entries.setdefault((n, m), _Entry())
            self._entries.move_to_end((n, m))
        with entry.lock:
            table = entry.table
            if table is None or table.bytes > memory_cap:
                # Beyond the cap this raises, whatever earlier calls have built.
                threads = min(arguments.available_cpus(), arguments.MOST_THREADS)
                table = _core.MaskTable(n, m, min(memory_cap, 2**63), threads)
                entry.table = table
        self._evict()
        return table

    def _evict(self) -> None:
        with self._lock:
            kept = 0
            for key in reversed(list(self._entries)):
                table = self._entries[key].table
                kept += 0 if table is None else table.bytes
                if kept > _KEPT_BYTES and key != next(reversed(self._entries)):
                    del self._entries[key]


mask_table = _Cache().get


def words_of(number: int, words: int) -> NDArray[np.uint64]:
    """Split a number into 64-bit words, least significant first; shape (1, words)."""
    parts = [(number >> (64 * k)) & (2**64 - 1) for k in range(words)]
    return np.array([parts], dtype=np.uint64)


def number_of(words: Sequence[int] | NDArray[np.uint64]) -> int:
    """Join 64-bit words, least significant first."""
    return sum(int(word) << (64 * k) for k, word in enumerate(words))
