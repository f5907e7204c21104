"""One orientation of a packed matrix in one flat array: what the compiled core multiplies by.

A buffer has no pointers in it, so that it may be copied, moved and held by a tensor of another
library. bfloat16, which NumPy lacks, may come and go as uint16.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import _core, arguments

Buffer = NDArray[np.uint8]
Activation = Literal["relu", "gelu", "gelu_tanh", "silu"]

PACKABLE = ("float32", "bfloat16", "float16")
# Beyond this share of kept entries a dense product is as fast.
_WORTHWHILE_DENSITY = 0.9
# So many products of a weight and an activation cost as much as one entry of a mask.
_PRODUCTS_PER_ENTRY = 64


class BufferShape(NamedTuple):
    """What a buffer holds.

    Attributes
    ----------
    rows, columns : int
        Shape of the matrix.
    nnz : int
        How many entries are kept.
    dtype : str
        ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    """

    rows: int
    columns: int
    nnz: int
    dtype: str


def pack_buffer(weights: NDArray[Any], mask: NDArray[np.bool_], dtype: str | None = None) -> Buffer:
    """Pack a matrix for products with its transpose, ``x @ weights.T``.

    Parameters
    ----------
    weights : ndarray, shape (rows, columns)
        float32, float16 or bfloat16; any strides, so that ``weights.T`` packs the transpose.
    mask : ndarray of bool, shape of `weights`
        What is kept.
    dtype : str, optional
        ``"bfloat16"`` if the weights are given as their uint16 view.

    Returns
    -------
    ndarray of uint8, one axis

    Raises
    ------
    TypeError, ValueError
        If a dtype or a shape does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from tnm_core.products import describe_buffer, pack_buffer
    >>> weights = np.eye(4, dtype=np.float32)
    >>> describe_buffer(pack_buffer(weights, weights != 0)).nnz
    4
    """
    data, name = as_values(weights, dtype, "weights")
    if data.ndim != 2:
        raise ValueError(f"weights have shape {data.shape}, expected two axes, (rows, columns)")
    if mask.shape != data.shape:
        raise ValueError(
            f"mask has shape {mask.shape}, expected the shape of the weights, {data.shape}"
        )
    mask = arguments.plain_flags(mask)
    kept = int(np.count_nonzero(mask))
    rows, columns = data.shape
    buffer = np.empty(_core.packed_bytes(rows, columns, kept, name), dtype=np.uint8)
    _core.pack_matrix(data, name, mask, kept, buffer, arguments.as_threads(None, data.size))
    return buffer


def update_buffer_(buffer: Buffer, weights: NDArray[Any]) -> None:
    """Take new values of the same shape and dtype, and keep the mask.

    Raises
    ------
    TypeError, ValueError
        If dtype or shape differ; the buffer is unchanged then.
    """
    shape = describe_buffer(buffer)
    data, _ = as_values(weights, shape.dtype, "weights")
    if data.shape != (shape.rows, shape.columns):
        raise ValueError(
            f"weights have shape {data.shape}, expected that of the packed matrix, "
            f"({shape.rows}, {shape.columns})"
        )
    _core.update_matrix(data, buffer, arguments.as_threads(None, data.size))


def unpack_buffer(buffer: Buffer) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the dense matrix, bfloat16 as uint16, and its mask."""
    shape = describe_buffer(buffer)
    weights = np.empty((shape.rows, shape.columns), dtype=stored_dtype(shape.dtype))
    mask = np.empty(weights.shape, dtype=np.bool_)
    _core.unpack_matrix(buffer, weights, mask, arguments.as_threads(None, weights.size))
    return weights, mask


def multiply_buffer(
    buffer: Buffer,
    x: NDArray[Any],
    out: NDArray[Any] | None = None,
    bias: ArrayLike | None = None,
    activation: Activation | None = None,
    threads: int | None = None,
) -> NDArray[Any]:
    """Multiply by the transpose of what is packed: ``activation(x @ weights.T + bias)``.

    Parameters
    ----------
    buffer : ndarray of uint8
        What `pack_buffer` returned.
    x : ndarray, shape (..., columns)
        Of the dtype of the packed matrix (bfloat16 may be its uint16 view); any strides.
    out : ndarray, shape (..., rows), optional
        Where the result goes, of the same dtype.
    bias : array_like, shape (rows,), optional
        Added before the activation.
    activation : {"relu", "gelu", "gelu_tanh", "silu"}, optional
        ``"gelu"`` is by the error function.
    threads : int, optional
        By default as many as the work is worth. The result does not depend on it.

    Returns
    -------
    ndarray, shape (..., rows)
        `out`, or a new array. Sums are in float32.

    Raises
    ------
    TypeError, ValueError
        If something does not fit; nothing is written then.
    """
    shape = describe_buffer(buffer)
    data, _ = as_values(x, shape.dtype, "x")
    if data.ndim == 0 or data.shape[-1] != shape.columns:
        raise ValueError(f"x has shape {data.shape}, expected (..., {shape.columns})")
    offsets = _as_bias(bias, shape.rows)
    name = "none" if activation is None else _as_activation(activation)
    result_shape = (*data.shape[:-1], shape.rows)
    dtype = np.asarray(x).dtype
    if out is None:
        out = np.empty(result_shape, dtype=dtype)
    else:
        inputs = {"x": data, "the packed matrix": buffer}
        if offsets is not None:
            inputs["bias"] = offsets
        arguments.check_output(out, result_shape, dtype, inputs)
    tokens = data.size // max(1, shape.columns)
    work = max(tokens, 1) * shape.nnz // _PRODUCTS_PER_ENTRY
    _core.multiply_matrix(
        buffer,
        data if data.ndim > 1 else data[np.newaxis],
        shape.dtype,
        _as_stored(out if out.ndim > 1 else out[np.newaxis]),
        shape.dtype,
        offsets,
        name,
        arguments.as_threads(threads, work),
    )
    return out


def describe_buffer(buffer: Buffer) -> BufferShape:
    """Read what a buffer holds from its first bytes.

    Raises
    ------
    TypeError, ValueError
        If it is not a packed matrix.
    """
    if not isinstance(buffer, np.ndarray) or buffer.dtype != np.uint8 or buffer.ndim != 1:
        raise TypeError("got something else than a flat uint8 array, expected a packed matrix")
    if not buffer.flags.c_contiguous:
        raise ValueError("the packed matrix is strided, expected a copy() of it")
    shape = _core.packed_shape(buffer)
    if shape is None:
        raise ValueError(
            "the array is not a packed matrix of this version, expected what pack_buffer returned"
        )
    return BufferShape(*shape)


def check_buffer(buffer: Buffer) -> BufferShape:
    """Read what a buffer holds, and check all of it: for what comes from elsewhere.

    Raises
    ------
    TypeError, ValueError
        If it is not a packed matrix, or one that is damaged.
    """
    shape = describe_buffer(buffer)
    if not _core.is_consistent(buffer):
        raise ValueError("the packed matrix is damaged: its mask and its size do not agree")
    return shape


def warn_if_dense(shape: BufferShape) -> None:
    """Say where a dense product would be as fast."""
    entries = shape.rows * shape.columns
    if entries and shape.nnz > _WORTHWHILE_DENSITY * entries:
        warnings.warn(
            f"the mask keeps {shape.nnz / entries:.0%} of the entries: packed products are right, "
            "but dense ones are faster",
            stacklevel=3,
        )


_STORED = {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16}
# Names of dtypes that were seen: NumPy makes a name anew each time, which takes as long as a small
# product.
_names: dict[np.dtype[Any], str] = {}


def stored_dtype(name: str) -> np.dtype[Any]:
    """Return the dtype of values without ml_dtypes: bfloat16 as uint16."""
    return np.dtype(_STORED[name])


def name_of(dtype: np.dtype[Any]) -> str:
    """Return ``dtype.name``; of a foreign byte order the whole spelling, which nothing takes."""
    name = _names.get(dtype)
    if name is None:
        name = dtype.name if dtype.isnative else str(dtype)
        if dtype.kind != "V" or name in PACKABLE:
            _names[dtype] = name
    return name


def as_values(array: Any, dtype: str | None, what: str) -> tuple[NDArray[Any], str]:
    """View values as the core reads them, with the name of their dtype, which is checked."""
    data = arguments.as_array(array, what)
    name = name_of(data.dtype)
    if name == "uint16" and dtype == "bfloat16":
        return data, "bfloat16"
    expected = (dtype,) if dtype else PACKABLE
    if name not in expected:
        raise TypeError(
            f"{what} has dtype {data.dtype}, expected {' or '.join(expected)}: "
            f"convert it first, for example with astype(np.{expected[0]})"
        )
    return _as_stored(data), name


def _as_stored(data: NDArray[Any]) -> NDArray[Any]:
    return data.view(np.uint16) if name_of(data.dtype) == "bfloat16" else data


def _as_bias(bias: ArrayLike | None, rows: int) -> NDArray[np.float32] | None:
    if bias is None:
        return None
    data = arguments.as_array(bias, "bias")
    if name_of(data.dtype) not in (*PACKABLE, "float64") and data.dtype.kind not in "iu":
        raise TypeError(f"bias has dtype {data.dtype}, expected real numbers")
    if data.shape != (rows,):
        raise ValueError(f"bias has shape {data.shape}, expected ({rows},)")
    return np.ascontiguousarray(data, dtype=np.float32)


def _as_activation(activation: str) -> str:
    name: str = arguments.as_choice("activation", activation, get_args(Activation))
    return name
