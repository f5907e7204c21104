"""Numbers of any width one after the other, as a string of bits.

Bit k of the string is bit k mod 8 of byte k // 8, the lowest first, and the lowest bit of a number
comes first; unused bits of the last byte are zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_EIGHT = 8  # so many numbers fill whole bytes, whatever their width


def pack_numbers(numbers: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Write k numbers below 2^bits, bits from 1 to 64, into ``ceil(k * bits / 8)`` bytes."""
    count = len(numbers)
    rows = np.zeros((-(-count // _EIGHT), _EIGHT), dtype=_dtype_of(bits))
    rows.reshape(-1)[:count] = numbers
    data = np.zeros((len(rows), bits), dtype=np.uint8)
    for place, byte, shift in _pieces(bits):
        data[:, byte] |= _shifted(rows[:, place], -shift).astype(np.uint8)
    return data.reshape(-1)[: -(-count * bits // 8)]


def unpack_numbers(data: NDArray[np.uint8], bits: int, count: int) -> NDArray[Any]:
    """Read what `pack_numbers` wrote; `ValueError` if there are other bits behind the numbers."""
    octets = np.zeros((-(-count // _EIGHT), bits), dtype=np.uint8)
    octets.reshape(-1)[: len(data)] = data
    dtype = _dtype_of(bits)
    rows = np.zeros((len(octets), _EIGHT), dtype=dtype)
    for place, byte, shift in _pieces(bits):
        rows[:, place] |= _shifted(octets[:, byte].astype(dtype), shift)
    rows &= dtype.type((1 << bits) - 1)
    numbers = rows.reshape(-1)
    if numbers[count:].any():
        raise ValueError(f"bits are set behind the last of {count} numbers")
    return numbers[:count]


def _pieces(bits: int) -> Iterator[tuple[int, int, int]]:
    """Yield which of eight numbers has bits in which byte, and how far these are shifted up."""
    for place in range(_EIGHT):
        first, last = place * bits, (place + 1) * bits - 1
        for byte in range(first // 8, last // 8 + 1):
            yield place, byte, 8 * byte - first


def _shifted(numbers: NDArray[Any], up: int) -> NDArray[Any]:
    """Shift unsigned integers up, or down if that is negative; bits beyond their width are lost."""
    kind = numbers.dtype.type
    shifted: NDArray[Any] = numbers << kind(up) if up >= 0 else numbers >> kind(-up)
    return shifted


def _dtype_of(bits: int) -> np.dtype[Any]:
    return next(np.dtype(f"u{size}") for size in (1, 2, 4, 8) if bits <= 8 * size)
