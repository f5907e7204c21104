"""A matrix whose zeros are left out, in the manner of SciPy's sparse arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core import arguments
from tnm_core.products.packed_arrays import (
    PackedArrays,
    arrays_of_buffer,
    as_native,
    buffer_of_arrays,
)
from tnm_core.products.packed_buffer import (
    PACKABLE,
    Activation,
    Buffer,
    describe_buffer,
    multiply_buffer,
    pack_buffer,
    unpack_buffer,
    update_buffer_,
    warn_if_dense,
)


class PackedMatrix:
    """The kept entries of a matrix, for products with it and with its transpose.

    `pack` makes one. ``x @ packed.T`` is the forward product of a layer with this weight, and
    ``y @ packed`` its input gradient. The first of each kind that is asked for packs that
    orientation; with both, values and bits are held twice.

    Attributes
    ----------
    shape : tuple of int
        (rows, columns).
    dtype : numpy.dtype
        float32, float16 or bfloat16.
    nnz : int
        How many entries are kept; kept zeros count.
    density : float
        Share of the entries that are kept.
    nbytes : int
        Memory that is held now.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> weights = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    >>> packed = tnm.pack(weights, tnm.transposable_mask(weights, "2:4"))
    >>> (np.ones((3, 32), np.float32) @ packed.T).shape
    (3, 64)
    >>> (np.ones((3, 64), np.float32) @ packed).shape
    (3, 32)
    """

    # Let NumPy hand x @ packed over.
    __array_ufunc__ = None
    ndim = 2

    def __init__(self, buffer: Buffer, dtype: np.dtype[Any]) -> None:
        self._rows: Buffer = buffer
        self._columns: Buffer | None = None
        self.dtype = dtype
        held = describe_buffer(buffer)
        self.shape = (held.rows, held.columns)
        self.nnz = held.nnz

    @classmethod
    def from_arrays(cls, values: ArrayLike, bits: ArrayLike, shape: Sequence[int]) -> PackedMatrix:
        """Make a packed matrix of plain arrays, which any version of this package could have made.

        Parameters
        ----------
        values : array_like, one axis
            The kept values, row by row: float32, float16 or bfloat16, in either byte order.
        bits : array_like of uint8
            The mask, row by row, a bit for each entry; `PackedArrays` says how.
        shape : pair of int
            (rows, columns).

        Raises
        ------
        TypeError, ValueError
            If a dtype does not fit, or values, bits and shape do not belong together.

        See Also
        --------
        to_arrays : The way back.

        Examples
        --------
        >>> import numpy as np
        >>> import tnm_core as tnm
        >>> bits = np.packbits([[0, 1, 0], [1, 0, 1]], axis=None, bitorder="little")
        >>> tnm.PackedMatrix.from_arrays(np.float32([5, 7, 9]), bits, (2, 3)).toarray()
        array([[0., 5., 0.],
               [7., 0., 9.]], dtype=float32)
        """
        data = as_native(values)
        return cls(buffer_of_arrays(data, bits, shape), data.dtype)

    def to_arrays(self) -> PackedArrays:
        """Return the kept values, the mask as bits, and the shape: for files and other libraries.

        See Also
        --------
        from_arrays : The way back.
        tnm_core.checkpoint.save_packed : Files of packed matrices.

        Examples
        --------
        >>> import numpy as np
        >>> import tnm_core as tnm
        >>> tnm.pack(np.float32([[0, 5, 0], [7, 0, 9]])).to_arrays().bits
        array([42], dtype=uint8)
        """
        values, bits, shape = arrays_of_buffer(self._rows)
        return PackedArrays(values.view(self.dtype), bits, shape)

    @property
    def density(self) -> float:
        """Share of the entries that are kept; 0 for an empty matrix."""
        entries = self.shape[0] * self.shape[1]
        return self.nnz / entries if entries else 0.0

    @property
    def nbytes(self) -> int:
        """Bytes that are held now: twice as many after the first product with the transpose."""
        return self._rows.nbytes + (0 if self._columns is None else self._columns.nbytes)

    @property
    def T(self) -> TransposedPackedMatrix:  # noqa: N802 - as NumPy calls it
        """The transpose, for ``x @ packed.T``; nothing is copied."""
        return TransposedPackedMatrix(self)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """What is kept, shape (rows, columns)."""
        return unpack_buffer(self._rows)[1]

    def toarray(self) -> NDArray[Any]:
        """Return the dense matrix with zeros for what is left out."""
        return unpack_buffer(self._rows)[0].view(self.dtype)

    def update_(self, weights: ArrayLike) -> None:
        """Take new values and keep the mask: what a training step needs.

        Parameters
        ----------
        weights : array_like, shape (rows, columns)
            Of the same dtype. Entries that are left out are not read.

        Raises
        ------
        TypeError, ValueError
            If shape or dtype differ; nothing is changed then.
        """
        data = arguments.as_array(weights, "weights", "tnm_core.torch.TransposableLinear")
        update_buffer_(self._rows, data)
        if self._columns is not None:
            update_buffer_(self._columns, data.T)

    def copy(self) -> PackedMatrix:
        """Return one with memory of its own."""
        twin = PackedMatrix(self._rows.copy(), self.dtype)
        twin._columns = None if self._columns is None else self._columns.copy()
        return twin

    def __copy__(self) -> PackedMatrix:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> PackedMatrix:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        # Arrays that any machine and version can read.
        return PackedMatrix.from_arrays, tuple(self.to_arrays())

    def __rmatmul__(self, x: ArrayLike) -> NDArray[Any]:
        return multiply(x, self)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return (
            f"<PackedMatrix {rows} x {columns}, {self.dtype}, {self.nnz} kept "
            f"({self.density:.1%}), {self.nbytes} bytes>"
        )

    def _packed_columns(self) -> Buffer:
        if self._columns is None:
            weights, mask = unpack_buffer(self._rows)
            name = describe_buffer(self._rows).dtype
            self._columns = pack_buffer(weights.T, mask.T, name)
        return self._columns


class TransposedPackedMatrix:
    """What ``packed.T`` is: a view of a `PackedMatrix` to multiply by."""

    __array_ufunc__ = None
    ndim = 2

    def __init__(self, matrix: PackedMatrix) -> None:
        self._matrix = matrix

    @property
    def T(self) -> PackedMatrix:  # noqa: N802 - as NumPy calls it
        """The packed matrix itself."""
        return self._matrix

    @property
    def shape(self) -> tuple[int, int]:
        """(columns, rows) of the packed matrix."""
        return self._matrix.shape[::-1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """As of the packed matrix."""
        return self._matrix.dtype

    def toarray(self) -> NDArray[Any]:
        """Return the dense transpose."""
        return np.transpose(self._matrix.toarray())

    def __rmatmul__(self, x: ArrayLike) -> NDArray[Any]:
        return multiply(x, self)

    def __repr__(self) -> str:
        return f"<transpose of {self._matrix!r}>"


def pack(weights: ArrayLike, mask: ArrayLike | None = None) -> PackedMatrix:
    """Leave out the entries of a matrix that a mask drops, and multiply faster for it.

    Parameters
    ----------
    weights : array_like, shape (rows, columns)
        float32, float16, or bfloat16 of the package ml_dtypes. NaN and infinity are kept as they
        are.
    mask : array_like of bool (or integers 0 and 1), shape of `weights`, optional
        What is kept; by default what is not zero. Any mask will do: N:M, row-wise, transposable or
        none of these.

    Returns
    -------
    PackedMatrix

    Raises
    ------
    TypeError, ValueError
        If a dtype or a shape does not fit.

    Warns
    -----
    UserWarning
        If more than 90 % of the entries are kept.

    Notes
    -----
    Memory is a value for each kept entry and a bit for each entry: .53 of the dense matrix at half
    density in float32, .56 in the 16-bit types.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> packed = tnm.pack(np.eye(128, dtype=np.float32))
    >>> packed.nnz, bool((np.eye(128, dtype=np.float32) @ packed == packed.toarray()).all())
    (128, True)
    """
    data = arguments.as_array(weights, "weights", "tnm_core.torch.pack_for_inference_")
    if data.dtype.name not in PACKABLE:
        raise TypeError(
            f"weights have dtype {data.dtype}, expected float32, float16 or bfloat16: "
            "convert them first, for example with weights.astype(np.float32)"
        )
    flags = data != 0 if mask is None else arguments.as_mask(mask)
    buffer = pack_buffer(data, np.asarray(flags))
    warn_if_dense(describe_buffer(buffer))
    return PackedMatrix(buffer, data.dtype)


def multiply(
    x: ArrayLike,
    packed: PackedMatrix | TransposedPackedMatrix,
    *,
    out: NDArray[Any] | None = None,
    bias: ArrayLike | None = None,
    activation: Activation | None = None,
    threads: int | None = None,
) -> NDArray[Any]:
    """Multiply from the left; `matmul` says how."""
    matrix = packed.T if isinstance(packed, TransposedPackedMatrix) else packed
    forward = matrix is not packed
    buffer = matrix._rows if forward else matrix._packed_columns()
    data = arguments.as_array(x, "x", "tnm_core.torch.PackedLinear")
    if data.dtype != matrix.dtype:
        raise TypeError(
            f"x has dtype {data.dtype}, expected {matrix.dtype}, that of the packed matrix: "
            "convert one of them first"
        )
    return multiply_buffer(buffer, data, out, bias, activation, threads)
