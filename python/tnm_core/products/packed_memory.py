"""Products on memory of other libraries, by address, for adapters to their tensors.

Making arrays of NumPy around three or four tensors costs more than a small product.
"""

from __future__ import annotations

from tnm_core import _core


def multiply_memory(
    packed: tuple[int, int],
    rows: tuple[int, int],
    dtype: str,
    sides: tuple[int, int, int],
    result: int,
    *,
    bias: int = 0,
    threads: int = 1,
) -> None:
    """Write ``x @ weights.T + bias`` to memory that the caller answers for.

    Parameters
    ----------
    packed : pair of int
        Address and bytes of what `pack_buffer` returned.
    rows : pair of int
        Address of x, and how many elements lie between its rows; those of a row are neighbours.
    dtype : str
        That of x and of the result: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    sides : tuple of int
        Rows of x, its columns, and rows of the packed matrix.
    result : int
        Address of the result, contiguous.
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
    >>> memory = (packed.ctypes.data, packed.nbytes), (x.ctypes.data, 2)
    >>> multiply_memory(*memory, "float32", (1, 2, 2), y.ctypes.data)
    >>> y
    array([[2., 3.]], dtype=float32)
    """
    tokens, columns, out = sides
    address, stride = rows
    if not _core.multiply_memory(
        *packed, dtype, address, tokens, columns, stride, result, out, bias, threads
    ):
        raise ValueError(
            f"the packed matrix is not a {dtype} one of {out} x {columns}, which rows of {columns} "
            f"{dtype} values and results of {out} need: expected what pack_buffer returned for it"
        )
