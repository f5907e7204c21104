"""A packed matrix as plain arrays, which any version on any machine can read.

A buffer is laid out for one version of the core. Values and bits are for files, for other processes
and for other libraries: NumPy alone makes the dense matrix of them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import _core, arguments
from tnm_core.products.packed_buffer import Buffer, as_values, describe_buffer, stored_dtype
from tnm_core.short_repr import short_repr

_SIDE_LIMIT = 2**40  # of a buffer; a matrix without entries could have longer ones


class PackedArrays(NamedTuple):
    """The kept values of a matrix, and one bit for each of its entries.

    Attributes
    ----------
    values : ndarray, one axis
        What the mask keeps, row by row.
    bits : ndarray of uint8, shape (ceil(rows * columns / 8),)
        The mask, row by row without gaps between rows, as
        ``np.packbits(mask, axis=None, bitorder="little")`` gives it: the first entry is the lowest
        bit, unused bits are zero.
    shape : tuple of int
        (rows, columns).

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> packed = tnm.pack(np.array([[0, 5, 0], [7, 0, 9]], dtype=np.float32))
    >>> values, bits, shape = packed.to_arrays()
    >>> values, bits, shape
    (array([5., 7., 9.], dtype=float32), array([42], dtype=uint8), (2, 3))
    >>> mask = np.unpackbits(bits, count=6, bitorder="little").reshape(shape).astype(bool)
    >>> dense = np.zeros(shape, values.dtype)
    >>> dense[mask] = values
    >>> dense
    array([[0., 5., 0.],
           [7., 0., 9.]], dtype=float32)
    """

    values: NDArray[Any]
    bits: NDArray[np.uint8]
    shape: tuple[int, int]

    def __repr__(self) -> str:
        return short_repr(self)


def arrays_of_buffer(buffer: Buffer) -> PackedArrays:
    """Return values, bfloat16 as uint16, and bits of a buffer.

    See Also
    --------
    buffer_of_arrays : The way back.

    Examples
    --------
    >>> import numpy as np
    >>> from tnm_core.products import arrays_of_buffer, pack_buffer
    >>> weights = np.diag([1, 2, 3]).astype(np.float32)
    >>> arrays_of_buffer(pack_buffer(weights, weights != 0)).values
    array([1., 2., 3.], dtype=float32)
    """
    shape = describe_buffer(buffer)
    values = np.empty(shape.nnz, dtype=stored_dtype(shape.dtype))
    entries = shape.rows * shape.columns
    bits = np.empty(-(-entries // 8), dtype=np.uint8)
    _core.rows_of_matrix(buffer, values, bits, arguments.as_threads(None, entries))
    return PackedArrays(values, bits, (shape.rows, shape.columns))


def buffer_of_arrays(
    values: ArrayLike, bits: ArrayLike, shape: Sequence[int], dtype: str | None = None
) -> Buffer:
    """Pack what `arrays_of_buffer` returned.

    Parameters
    ----------
    values, bits, shape : array_like, array_like of uint8, pair of int
        As of `PackedArrays`; values in either byte order.
    dtype : str, optional
        ``"bfloat16"`` if the values are given as their uint16 view.

    Returns
    -------
    ndarray of uint8, one axis

    Raises
    ------
    TypeError, ValueError
        If they do not belong together.

    Examples
    --------
    >>> import numpy as np
    >>> from tnm_core.products import buffer_of_arrays, describe_buffer
    >>> buffer = buffer_of_arrays(np.ones(3, np.float32), np.array([42], np.uint8), (2, 3))
    >>> describe_buffer(buffer)
    BufferShape(rows=2, columns=3, nnz=3, dtype='float32')
    """
    data, name = as_values(as_native(values), dtype, "the array of values")
    rows, columns = _as_shape(shape)
    flags = _as_bits(arguments.as_array(bits, "bits"), (rows, columns))
    if data.ndim == 1:
        data = np.ascontiguousarray(data)
        buffer = np.empty(_core.packed_bytes(rows, columns, data.size, name), dtype=np.uint8)
        threads = arguments.as_threads(None, rows * columns)
        kept = _core.pack_matrix_rows(data, name, flags, rows, columns, buffer, threads)
        if kept == data.size:
            return buffer
    else:
        kept = int(np.unpackbits(flags).sum(dtype=np.int64))
    raise ValueError(
        f"values have shape {data.shape}, expected ({kept},), as many as bits that are set; "
        "values and bits have to come from one matrix"
    )


def as_native(values: ArrayLike) -> NDArray[Any]:
    """View an array; only a foreign byte order costs a copy."""
    data = arguments.as_array(values, "values")
    return data if data.dtype.isnative else data.astype(data.dtype.newbyteorder("="))


def _as_shape(shape: Sequence[int]) -> tuple[int, int]:
    try:
        rows, columns = map(operator.index, shape)
    except (TypeError, ValueError):
        raise ValueError(f"shape is {shape!r}, expected two integers, (rows, columns)") from None
    if min(rows, columns) < 0 or max(rows, columns) >= _SIDE_LIMIT:
        raise ValueError(f"shape is ({rows}, {columns}), expected sides from 0 to 2**40 - 1")
    return rows, columns


def _as_bits(bits: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.uint8]:
    entries = math.prod(shape)
    size = -(-entries // 8)
    if bits.dtype != np.uint8:
        raise TypeError(f"bits have dtype {bits.dtype}, expected uint8, as np.packbits gives them")
    if bits.shape != (size,):
        raise ValueError(
            f"bits have shape {bits.shape}, expected ({size},): "
            f"one bit for each of {shape[0]} x {shape[1]} entries"
        )
    if entries % 8 and bits[-1] >> entries % 8:
        raise ValueError(
            f"bits beyond the {entries} entries are set, expected zeros there: "
            'np.packbits(mask, axis=None, bitorder="little") leaves them so'
        )
    return np.ascontiguousarray(bits)
