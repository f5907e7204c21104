"""What unstructured pruning of a whole layer would keep, without the layer in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tnm_core.arguments import Score

Blocks = Callable[[], Iterable[NDArray[Any]]]

_DIGIT = 16  # bits that are looked at in one pass
_PIECE = 1 << 20  # entries


def unstructured_score(blocks: Blocks, entries: int, kept: int, score: Score, most: int) -> float:
    """Add up the largest magnitudes of a layer.

    The bits of magnitudes are ordered as they are, so the smallest that is kept is found digit by
    digit: each pass counts the next 16 bits of those that are still in question. When these are few
    enough they are sorted.

    Parameters
    ----------
    blocks : callable
        Returns the finite values of the layer, in pieces of any shape; called for each pass.
    entries, kept : int
        How many there are, and how many are kept.
    score : {"abs", "square"}
        What a kept one is worth.
    most : int
        How many may be held in memory to be sorted.
    """
    if kept == 0:
        return 0.0
    low, bits, inside, above = 0, _width(blocks), entries, 0
    while inside > most and bits > 0:
        digit = min(bits, _DIGIT)
        counts = _count_digits(blocks, low, bits, digit)
        from_top = np.cumsum(counts[::-1])
        place = int(np.searchsorted(from_top, kept - above))
        found = len(counts) - 1 - place
        above += int(from_top[place] - counts[found])
        inside = int(counts[found])
        bits -= digit
        low += found << bits
    return _add_up(blocks, low, bits, kept - above, score)


def _count_digits(blocks: Blocks, low: int, bits: int, digit: int) -> NDArray[np.int64]:
    """Count the next digit of the magnitudes whose higher bits are those of ``low``."""
    counts = np.zeros(1 << digit, dtype=np.int64)
    for magnitudes in _magnitudes(blocks):
        keys = _keys(magnitudes) >> (bits - digit)
        first = low >> (bits - digit)
        if first or low or bits < 8 * magnitudes.itemsize:
            keys = keys[(keys >= first) & (keys < first + (1 << digit))] - keys.dtype.type(first)
        counts += np.bincount(keys.astype(np.intp), minlength=1 << digit)
    return counts


def _add_up(blocks: Blocks, low: int, bits: int, wanted: int, score: Score) -> float:
    """Add up what is above a range of keys, and the largest ``wanted`` within it."""
    total = 0.0
    found: list[NDArray[Any]] = []
    high = low + (1 << bits)
    for magnitudes in _magnitudes(blocks):
        keys = _keys(magnitudes)
        if high <= np.iinfo(keys.dtype).max:
            total += _worth(magnitudes[keys >= high], score)
            within = magnitudes[(keys >= low) & (keys < high)]
        else:
            within = magnitudes[keys >= low]
        if bits == 0 and within.size:  # all are equal
            found = [within[:1]]
        elif bits:
            found.append(within)
    if bits == 0:
        return total + wanted * _worth(found[0], score)
    candidates = np.concatenate(found)
    if wanted < candidates.size:
        candidates.partition(candidates.size - wanted)
    return total + _worth(candidates[candidates.size - wanted :], score)


def _magnitudes(blocks: Blocks) -> Iterator[NDArray[Any]]:
    """Yield magnitudes in small pieces, of a type that holds them exactly."""
    for block in blocks():
        flat = block.ravel(order="K")
        wide = np.float64 if flat.dtype.itemsize == 8 else np.float32
        for start in range(0, flat.size, _PIECE):
            yield np.abs(flat[start : start + _PIECE].astype(wide))


def _keys(magnitudes: NDArray[Any]) -> NDArray[Any]:
    return magnitudes.view(np.uint64 if magnitudes.itemsize == 8 else np.uint32)


def _width(blocks: Blocks) -> int:
    return next((8 * part.itemsize for part in _magnitudes(blocks)), 32)


def _worth(kept: NDArray[Any], score: Score) -> float:
    if score == "square":
        return float(np.einsum("i,i->", kept, kept, dtype=np.float64))
    return float(kept.sum(dtype=np.float64))
