"""Masks of a known pattern, in hardly more bits than their entropy.

A mask is cut into units: m x m tiles of a transposable pattern, or groups of m along rows. Each
unit has a rank below the number of units that there are, and several ranks make one number of a
whole number of bits, in mixed radix: at 2:4 there are 90 tiles, and two of them take 13 bits, since
90^2 <= 2^13. What belongs to no whole unit, at the edges, follows as a bit for each entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tnm_core.check import check_mask
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.formats.bit_strings import pack_numbers, unpack_numbers
from tnm_core.checkpoint.formats.unit_ranks import Flags, UnitRanks, ranks_of
from tnm_core.pattern import Pattern, as_pattern

_MOST_BITS = 64  # of a number
_FIELDS = ("pattern", "axes", "units", "bits")


@dataclass(frozen=True)
class MaskCode:
    """How one mask is written.

    Attributes
    ----------
    pattern : Pattern
        What the units obey: whole tiles, or groups of a row-wise pattern.
    axes : tuple of int
        Which axes of the mask are those of the matrices, the last two of these.
    units : int
        How many ranks make a number: the first is the lowest digit, in base `ranks.count`.
    bits : int
        How many bits a number takes.
    """

    pattern: Pattern
    axes: tuple[int, ...]
    units: int
    bits: int

    @classmethod
    def of(cls, pattern: Pattern, axes: tuple[int, ...]) -> MaskCode | None:
        """Choose the numbers that waste least; None if the units of a pattern have no ranks.

        Larger transposable tiles than are ranked are written as groups of their rows.
        """
        for coded in (pattern, Pattern(*pattern.pair, transposable=False)):
            ranks = ranks_of(coded)
            if ranks is not None:
                units, bits = _number_of_least_waste(ranks.count)
                return cls(coded, axes, units, bits)
        return None

    @classmethod
    def from_json(cls, fields: object, rank: int) -> MaskCode:
        """Read what `to_json` wrote, for a mask of so many axes; `ValueError` if it is damaged."""
        if not isinstance(fields, Mapping) or set(fields) != set(_FIELDS):
            raise ValueError(f"expected an object of {', '.join(_FIELDS)}")
        text, axes, units, bits = (fields[name] for name in _FIELDS)
        if not isinstance(text, str) or not isinstance(axes, list):
            raise ValueError("expected a pattern as text and a list of axes")
        if any(type(number) is not int for number in (*axes, units, bits)):
            raise ValueError("expected whole numbers")
        code = cls(as_pattern(text), tuple(axes), units, bits)
        if rank < 2 or sorted(axes) != list(range(rank)):
            raise ValueError(f"axes are {axes[:8]}, expected those of a mask of {rank} axes")
        ranks = ranks_of(code.pattern)
        if ranks is None:
            raise ValueError(f"units of {code.pattern} have no ranks in this version")
        if not 1 <= bits <= _MOST_BITS or not 1 <= units <= bits or ranks.count**units > 2**bits:
            raise ValueError(f"{units} ranks of {code.pattern} do not fit into {bits} bits")
        return code

    def to_json(self) -> dict[str, Any]:
        """Describe it."""
        return {
            "pattern": str(self.pattern),
            "axes": list(self.axes),
            "units": self.units,
            "bits": self.bits,
        }

    def nbytes(self, shape: Sequence[int]) -> int:
        """Tell how many bytes a mask of a shape takes."""
        units, edge = self._sizes(shape)
        return _bytes_of(self._numbers(units) * self.bits) + _bytes_of(edge)

    def encode(self, mask: Flags) -> NDArray[np.uint8]:
        """Write a mask; `ValueError` if one of its units does not obey the pattern."""
        view = mask.transpose(self.axes)
        ranks = self._ranks.rank(self._units_of(view))
        digits = np.zeros((self._numbers(len(ranks)), self.units), dtype=ranks.dtype)
        digits.reshape(-1)[: len(ranks)] = ranks
        numbers = np.zeros(len(digits), dtype=np.uint64)
        for place in reversed(range(self.units)):
            numbers *= np.uint64(self._ranks.count)
            numbers += digits[:, place]
        edge = np.packbits(self._edge_of(view), bitorder="little")
        return np.concatenate([pack_numbers(numbers, self.bits), edge])

    def decode(self, data: NDArray[np.uint8], shape: Sequence[int]) -> Flags:
        """Read a mask of a shape from `nbytes` bytes; `ValueError` if they are damaged."""
        units, edge_entries = self._sizes(shape)
        count = self._numbers(units)
        split = _bytes_of(count * self.bits)
        ranks = self._digits(unpack_numbers(data[:split], self.bits, count), units)
        edge = np.unpackbits(data[split:], bitorder="little").view(np.bool_)
        if edge[edge_entries:].any():
            raise ValueError(f"bits are set behind the {edge_entries} entries at its edges")
        mask = np.empty(shape, dtype=np.bool_)
        view = mask.transpose(self.axes)
        self._place_edge(view, edge[:edge_entries])
        self._place_units(view, self._ranks.unrank(ranks))
        return mask

    @property
    def _ranks(self) -> UnitRanks:
        found = ranks_of(self.pattern)
        assert found is not None  # else there is no code
        return found

    def _numbers(self, units: int) -> int:
        return -(-units // self.units)

    def _sizes(self, shape: Sequence[int]) -> tuple[int, int]:
        """Count the whole units of a mask, and the entries outside of them."""
        sides = [shape[axis] for axis in self.axes]
        whole_rows, whole_columns = self._whole(sides)
        covered = math.prod(sides[:-2]) * whole_rows * whole_columns
        return covered // self._ranks.width, math.prod(sides) - covered

    def _whole(self, sides: Sequence[int]) -> tuple[int, int]:
        """Tell how many rows and columns lie in whole units."""
        m, (rows, columns) = self.pattern.m, sides[-2:]
        return (rows // m * m if self.pattern.transposable else rows), columns // m * m

    def _edge_of(self, view: Flags) -> Flags:
        """Take what lies outside of whole units, of each matrix in C order."""
        rows, columns = self._whole(view.shape)
        stack = math.prod(view.shape[:-2])
        right, below = view[..., :rows, columns:], view[..., rows:, :]
        parts = [part.reshape(stack, math.prod(part.shape[-2:])) for part in (right, below)]
        return np.concatenate(parts, axis=1).reshape(-1)

    def _place_edge(self, view: Flags, edge: Flags) -> None:
        rows, columns = self._whole(view.shape)
        right, below = view[..., :rows, columns:], view[..., rows:, :]
        split = math.prod(right.shape[-2:])
        flags = edge.reshape(math.prod(view.shape[:-2]), split + math.prod(below.shape[-2:]))
        right[...] = flags[:, :split].reshape(right.shape)
        below[...] = flags[:, split:].reshape(below.shape)

    def _units_of(self, view: Flags) -> Flags:
        inner = self._inner(view)
        if self.pattern.transposable:
            inner = _by_rows_of(inner, self.pattern.m).swapaxes(-3, -2)
        return np.ascontiguousarray(inner).view(np.bool_).reshape(-1, self._ranks.width)

    def _place_units(self, view: Flags, units: Flags) -> None:
        inner, m = self._inner(view), self.pattern.m
        if not self.pattern.transposable:
            inner[...] = units.reshape(inner.shape)
            return
        target = _by_rows_of(inner, m).swapaxes(-3, -2)
        source = units.view(target.dtype) if target.dtype != np.bool_ else units
        target[...] = source.reshape(target.shape)

    def _inner(self, view: Flags) -> Flags:
        """View whole units."""
        rows, columns = self._whole(view.shape)
        return view[..., :rows, :columns]

    def _digits(self, numbers: NDArray[Any], units: int) -> NDArray[Any]:
        base = self._ranks.count
        digits = np.empty((len(numbers), self.units), dtype=np.min_scalar_type(base - 1))
        for place in range(self.units - 1):
            rest = numbers // numbers.dtype.type(base)
            digits[:, place] = numbers - rest * numbers.dtype.type(base)
            numbers = rest
        if numbers.size and int(numbers.max()) >= base:
            raise ValueError(f"a number is too large for {self.units} ranks below {base}")
        digits[:, -1] = numbers
        ranks = digits.reshape(-1)
        if ranks[units:].any():
            raise ValueError(f"there are more than the {units} ranks of the mask")
        return ranks[:units]


def find_code(mask: Flags, pattern: Pattern) -> MaskCode | None:
    """Find how to write a mask in few bits: by which of its axes it obeys a pattern, in full tiles.

    None if by none, or if the units of the pattern have no ranks.
    """
    for axes in _orders(mask.ndim):
        code = MaskCode.of(pattern, axes)
        if code is not None and check_mask(mask.transpose(axes), pattern).valid:
            return code
    return None


def decode_mask(code: MaskCode, data: NDArray[np.uint8], shape: Sequence[int], label: str) -> Flags:
    """Read a mask of a file; `CheckpointError` if it is damaged."""
    try:
        return code.decode(data, shape)
    except ValueError as error:
        raise CheckpointError(
            f"{label} is damaged: {error}; write the file again with save_masks"
        ) from None


def _by_rows_of(inner: Flags, m: int) -> NDArray[Any]:
    """View whole tiles as (..., tile rows, m, tile columns, m), where that can be as one element.

    Elements of several flags are moved several times as fast; the last axis is 1 then.
    """
    *stack, rows, columns = inner.shape
    grid = (*stack, rows // m, m, columns // m)
    if m in (2, 4, 8) and columns and inner.strides[-1] == 1:
        return inner.view(f"u{m}").reshape(*grid, 1)
    return inner.reshape(*grid, m)


def _orders(rank: int) -> list[tuple[int, ...]]:
    """List orders of axes in which a mask may hold matrices: the last two axes, or the first."""
    if rank < 2:
        return []
    plain = tuple(range(rank))
    orders = [plain, (*plain[:-2], plain[-1], plain[-2])]
    if rank > 2:  # of convolutions a matrix for each position of the kernel
        orders += [(*plain[2:], 0, 1), (*plain[2:], 1, 0)]
    return orders


def _number_of_least_waste(count: int) -> tuple[int, int]:
    """Choose how many ranks make a number, and of how many bits."""
    choices = []
    units = 1
    while (bits := (count**units - 1).bit_length()) <= _MOST_BITS:
        choices.append((bits / units, units, bits))
        units += 1
    _, units, bits = min(choices)
    return units, bits


def _bytes_of(bits: int) -> int:
    return -(-bits // 8)
