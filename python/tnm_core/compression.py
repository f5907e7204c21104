"""The compressed form of an N:M sparse array, along rows or along columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import _core, arguments
from tnm_core.check import check_mask
from tnm_core.pattern import Pattern, PatternLike, as_pattern
from tnm_core.short_repr import short_repr

__all__ = ["Compressed", "compress", "decompress"]

_ITEM_SIZES = (1, 2, 4, 8, 16)


@dataclass(frozen=True, eq=False)
class Compressed:
    """n values and n positions for each group of m.

    Attributes
    ----------
    values : ndarray, shape (..., rows, groups * n) or, for ``axis=-2``, (..., columns, groups * n)
        The kept values; zero where a group keeps fewer than n.
    indices : ndarray of uint8, same shape
        Position of each value within its group of m, ascending and distinct in a group.
    n, m : int
        The pattern.
    axis : int
        -1 if groups run along the rows, -2 if they run along the columns: then this is the
        compressed form of the transposed matrix.
    shape : tuple of int
        Shape of the original array.
    """

    values: NDArray[Any]
    indices: NDArray[np.uint8]
    n: int
    m: int
    axis: int
    shape: tuple[int, ...]

    __repr__ = short_repr


def compress(
    array: ArrayLike,
    mask: ArrayLike,
    n: PatternLike | int,
    m: int | None = None,
    *,
    axis: int = -1,
    out: Compressed | None = None,
) -> Compressed:
    """Pack the kept entries of an N:M sparse array.

    With a transposable mask both orientations exist: ``axis=-1`` packs W for products that
    contract its columns, ``axis=-2`` packs its transpose.

    Parameters
    ----------
    array : array_like, shape (..., rows, columns)
        Values of any numeric dtype.
    mask : array_like of bool (or integers 0 and 1), shape of `array`
        What is kept: at most n in each group of m along `axis`.
    n, m : int
        n entries are kept of every m, ``1 <= n <= m <= 128``. In place of both n may be a pattern:
        ``"2:4"`` and ``"row 2:4"`` mean the same here, for one axis is packed.
    axis : {-1, -2}
        The axis of the groups.
    out : Compressed, optional
        What an earlier call with the same n, m, axis, shape and dtype returned: its arrays are
        overwritten, which spares the system from clearing new memory. An error leaves them as they
        were.

    Returns
    -------
    Compressed
        `out` if that was given. Groups that keep fewer than n are filled up with zeros at the
        lowest positions that they dropped, so that each has n distinct ascending positions below m.
        In a last group of fewer than m entries these may lie beyond the edge.

    Raises
    ------
    TypeError, ValueError
        If a dtype, a shape, n, m, `axis` or `out` does not fit, or a group keeps more than n (the
        message says which).

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> weights = np.array([[5, 0, 0, 7], [0, 3, 2, 0], [1, 0, 4, 0], [0, 6, 0, 8]])
    >>> packed = tnm.compress(weights, weights != 0, "2:4")
    >>> packed.values[0], packed.indices[0]
    (array([5, 7]), array([0, 3], dtype=uint8))
    >>> bool((tnm.decompress(packed) == weights).all())
    True
    >>> tnm.compress(2 * weights, weights != 0, "2:4", out=packed) is packed
    True
    >>> packed.values[0]
    array([10, 14])
    """
    pattern = as_pattern(n, m)
    n, m = pattern.pair
    data = arguments.as_array(array)
    flags = arguments.as_mask(mask)
    _check_packable(data)
    axis = _packing_axis(axis)
    if flags.shape != data.shape:
        raise ValueError(f"mask has shape {flags.shape}, expected the array's shape {data.shape}")
    lines, kept = (data, flags) if axis == -1 else (data.swapaxes(-1, -2), flags.swapaxes(-1, -2))
    groups = -(-lines.shape[-1] // m)
    shape = (*lines.shape[:-1], groups * n)
    if out is not None:
        _check_reusable(out, {"n": n, "m": m, "axis": axis, "shape": data.shape})
        _check_parts(out, shape, data.dtype, {"the array": data, "the mask": flags})
    # The core finds a group that keeps too many on its way: `out` waits until there is none.
    usable = out is not None and check_mask(kept, n, m, transposable=False, exact=False).valid
    values = out.values if out and usable else np.empty(shape, dtype=data.dtype)
    indices = out.indices if out and usable else np.empty(shape, dtype=np.uint8)
    threads = arguments.as_threads(None, data.size)
    overfull = _core.compress(lines, kept, n, m, values, indices, threads)
    if overfull is not None:
        raise ValueError(_spell_overfull(overfull, kept, groups, pattern, axis))
    return out or Compressed(values, indices, n, m, axis, data.shape)


def decompress(compressed: Compressed, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Unpack to a dense array with zeros for what was dropped.

    Parameters
    ----------
    compressed : Compressed
        What `compress` returned.
    out : ndarray, shape ``compressed.shape``, optional
        An array of the dtype of ``compressed.values``, in any order, that shares no memory with
        `compressed`: it is overwritten. An error leaves it as it was.

    Returns
    -------
    ndarray, shape ``compressed.shape``
        The array times its mask, dtype of ``compressed.values``; `out` if that was given.

    Raises
    ------
    TypeError, ValueError
        If the parts of `compressed` do not fit together, or `out` does not fit them.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> weights = np.diag([1.5, 2.5, 3.5, 4.5])
    >>> packed = tnm.compress(weights, weights != 0, 1, 4, axis=-2)
    >>> bool((tnm.decompress(packed) == weights).all())
    True
    """
    if not isinstance(compressed, Compressed):
        raise TypeError(f"got a {type(compressed).__name__}, expected what compress() returned")
    n, m = Pattern(compressed.n, compressed.m).pair
    axis = _packing_axis(compressed.axis)
    values = np.ascontiguousarray(compressed.values)
    indices = np.ascontiguousarray(compressed.indices)
    if out is not None:
        parts = {"the values": compressed.values, "the indices": compressed.indices}
        arguments.check_output(out, tuple(compressed.shape), values.dtype, parts)
    result = np.empty(compressed.shape, dtype=values.dtype) if out is None else out
    _check_packable(result)
    lines = result if axis == -1 else result.swapaxes(-1, -2)
    expected = (*lines.shape[:-1], -(-lines.shape[-1] // m) * n)
    if indices.dtype != np.uint8:
        raise TypeError(f"indices have dtype {indices.dtype}, expected uint8")
    if values.shape != expected or indices.shape != expected:
        raise ValueError(
            f"values have shape {values.shape} and indices {indices.shape}, expected {expected} "
            f"for {n}:{m} along axis {axis} of shape {compressed.shape}"
        )
    threads = arguments.as_threads(None, result.size)
    valid = out is None or not indices.size or int(indices.max()) < m
    if not valid or not _core.decompress(values, indices, n, m, lines, threads):
        raise ValueError(f"indices hold {int(indices.max())}, expected positions below m = {m}")
    return result


def _check_reusable(out: Compressed, expected: dict[str, Any]) -> None:
    """Raise unless `out` is of the kind that the call at hand returns."""
    if not isinstance(out, Compressed):
        raise TypeError(f"out is a {type(out).__name__}, expected what compress() returned")
    for name, value in expected.items():
        if getattr(out, name) != value:
            raise ValueError(
                f"out has {name} {getattr(out, name)}, expected {value}; pass another out"
            )


def _check_parts(
    out: Compressed,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    inputs: dict[str, NDArray[Any]],
) -> None:
    """Raise unless values and indices may be written to `out` while the inputs are read."""
    parts = {"values": (out.values, dtype), "indices": (out.indices, np.dtype(np.uint8))}
    for name, (part, expected) in parts.items():
        try:
            arguments.check_output(part, shape, expected, inputs)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name} of out: {error}") from None
        if not part.flags.c_contiguous:
            raise ValueError(f"{name} of out are not contiguous, expected C order; pass a copy")
    if np.shares_memory(out.values, out.indices):
        raise ValueError("values and indices of out overlap, expected separate memory")


def _check_packable(data: NDArray[Any]) -> None:
    if data.dtype.hasobject or data.dtype.itemsize not in _ITEM_SIZES:
        raise TypeError(f"array has dtype {data.dtype}, expected a numeric dtype")
    if data.ndim < 2:
        raise ValueError(
            f"array has {data.ndim} axes (shape {data.shape}), expected at least 2: reshape it"
        )


def _packing_axis(axis: int) -> int:
    if axis not in (-1, -2):
        raise ValueError(f"axis is {axis!r}, expected -1 (along rows) or -2 (along columns)")
    return axis


def _spell_overfull(
    group: int, kept: NDArray[np.bool_], groups: int, pattern: Pattern, axis: int
) -> str:
    n, m = pattern.pair
    *line, number = (int(i) for i in np.unravel_index(group, (*kept.shape[:-1], groups)))
    first = number * m
    count = int(np.count_nonzero(kept[tuple(line)][first : first + m]))
    index = [*line, first] if axis == -1 else [*line[:-1], first, line[-1]]
    return (
        f"the group of {m} along axis {axis} that starts at {index} keeps {count}, "
        f"expected at most {n}; check_mask() lists what a mask breaks"
    )
