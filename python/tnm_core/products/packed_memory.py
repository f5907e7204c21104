"""Products on memory of other libraries, by address, for adapters to their tensors.

Making arrays of NumPy around three or four tensors costs more than a small product.
"""

from __future__ import annotations

from collections.abc import Sequence

from tnm_core import _core


def multiply_memory(
    packed: tuple[int, int],
    dtype: str,
    x: tuple[int, Sequence[int], Sequence[int]],
    result: int,
    rows: int,
    *,
    bias: int = 0,
    threads: int = 1,
) -> None:
    """Write ``x @ weights.T + bias`` to memory that the caller answers for.

    Parameters
    ----------
    packed : pair of int
        Address and bytes of what `pack_buffer` returned.
    dtype : str
        That of x and of the result: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    x : tuple of int, sequence of int, sequence of int
        Its address, its shape (..., columns) and its strides, in elements.
    result : int
        Address of the result (..., rows), contiguous.
    rows : int
        Rows of the packed matrix.
    bias : int
        Address of contiguous float32, or 0 for none.
    threads : int
        How many to use.

    Raises
    ------
    ValueError
        If what is packed is no matrix of that dtype and shape; nothing is written then.

    Examples
    --------
    >>> import numpy as np
    >>> from tnm_core.products import multiply_memory, pack_buffer
    >>> packed = pack_buffer(np.diag([2, 3]).astype(np.float32), np.eye(2, dtype=bool))
    >>> x, y = np.ones((1, 2), np.float32), np.empty((1, 2), np.float32)
    >>> memory = packed.ctypes.data, packed.nbytes
    >>> multiply_memory(memory, "float32", (x.ctypes.data, (1, 2), (2, 1)), y.ctypes.data, 2)
    >>> y
    array([[2., 3.]], dtype=float32)
    """
    address, shape, strides = x
    if not _core.multiply_memory(
        *packed, dtype, address, shape, strides, result, rows, bias, threads
    ):
        raise ValueError(
            f"what is packed is no {dtype} matrix of {rows} x {shape[-1]}, expected one that fits "
            f"x of shape {tuple(shape)} and results of {rows} entries"
        )
