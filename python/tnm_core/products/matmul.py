"""The product of an array and a packed matrix."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from tnm_core.products.packed_buffer import Activation
from tnm_core.products.packed_matrix import PackedMatrix, TransposedPackedMatrix, multiply


def matmul(
    x: ArrayLike,
    packed: PackedMatrix | TransposedPackedMatrix,
    *,
    out: NDArray[Any] | None = None,
    bias: ArrayLike | None = None,
    activation: Activation | None = None,
    threads: int | None = None,
) -> NDArray[Any]:
    """Multiply an array by a packed matrix or its transpose: ``activation(x @ packed + bias)``.

    Parameters
    ----------
    x : array_like, shape (..., k)
        Of the dtype of the packed matrix; any strides and leading axes. Not copied.
    packed : PackedMatrix or its ``.T``, shape (k, f)
        What to multiply by: ``packed.T`` for the forward product of a layer, ``packed`` for its
        input gradient.
    out : ndarray, shape (..., f), optional
        Where the result goes; of the same dtype, and apart from the inputs.
    bias : array_like, shape (f,), optional
        Added to each row.
    activation : {"relu", "gelu", "gelu_tanh", "silu"}, optional
        Applied at last; ``"gelu"`` by the error function, ``"gelu_tanh"`` its usual approximation.
    threads : int, optional
        By default as many as the machine offers and the work is worth.

    Returns
    -------
    ndarray, shape (..., f)
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If a shape, a dtype or a name does not fit, or `out` overlaps an input; nothing is written
        then.

    Notes
    -----
    Products and sums are in float32 for every dtype: an entry of the result is off by at most
    ``k * 2**-24`` times the sum of the magnitudes of its products, and by the rounding to 16 bits.
    The result does not depend on `threads`. It may depend, within that bound, on the instruction
    set, and on whether there are few tokens (rows of `x`) or many, which are summed in another
    order. Entries that are left out contribute nothing, also where `x` is infinite or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> packed = tnm.pack(np.diag([1.0, -2.0, 3.0]).astype(np.float32))
    >>> x = np.ones((1, 3), dtype=np.float32)
    >>> tnm.matmul(x, packed.T, bias=[0.5, 0.5, 0.5], activation="relu")
    array([[1.5, 0. , 3.5]], dtype=float32)
    """
    if not isinstance(packed, (PackedMatrix, TransposedPackedMatrix)):
        raise TypeError(
            f"got a {type(packed).__name__}, expected a packed matrix or its .T: "
            "pack(weights, mask) makes one"
        )
    return multiply(x, packed, out=out, bias=bias, activation=activation, threads=threads)
