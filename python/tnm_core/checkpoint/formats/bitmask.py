"""The layout ``sparse-24-bitmask`` of compressed-tensors: matrices whose rows are 2:4.

The weight ``X.weight`` of shape (rows, columns) is three tensors:

* ``X.compressed``, of shape (rows, columns / 2): two values for every four entries of a row, in
  their order;
* ``X.bitmask``, U8 of shape (rows, ceil(columns / 8)): a bit for each entry, the first of a row in
  the lowest bit of its first byte;
* ``X.shape``, I64 of shape (2, 1): rows and columns.

docs/formats.md has more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint.base import Checkpoint, TensorInfo
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.records import PruneRecord
from tnm_core.pattern import Pattern

COMPRESSED = ".compressed"
BITMASK = ".bitmask"
SHAPE = ".shape"
WEIGHT = ".weight"
TWO_OF_FOUR = Pattern(2, 4, transposable=False)
_UNSTRUCTURED = ".row_offsets"  # beside the same names in the layout sparse-bitmask
_EXPECTED = "expected the layout sparse-24-bitmask: write the file again"


class BitmaskFile:
    """A checkpoint with weights in this layout, and dense tensors beside them.

    Attributes
    ----------
    tensors : dict of str to TensorInfo
        Weights as the matrices that they stand for; others as they are.
    layers : tuple of str
        The weights.
    """

    def __init__(self, file: Checkpoint) -> None:
        self._file = file
        modules = _modules(file)
        self.layers = tuple(module + WEIGHT for module in modules)
        self.tensors: dict[str, TensorInfo] = {}
        for name, info in file.tensors.items():
            module, part = _split(name)
            if module not in modules or part not in (COMPRESSED, BITMASK, SHAPE):
                self.tensors[name] = info
            elif module + WEIGHT not in self.tensors:
                self.tensors[module + WEIGHT] = _info(file, module)

    @property
    def records(self) -> list[PruneRecord]:
        """Earlier runs of pruning; where the file tells of none, what the layout says."""
        told = {name for record in self._file.records for name in record.layers}
        others = [name for name in self.layers if name not in told]
        implied = [PruneRecord.of(TWO_OF_FOUR, "unknown", "unknown", others)] if others else []
        return [*self._file.records, *implied]

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor, a compressed one as a dense matrix."""
        if name not in self.layers:
            return self._file.read(name)
        mask = self.mask(name)
        values = self._file.read(name.removesuffix(WEIGHT) + COMPRESSED)
        dense: NDArray[Any] = np.zeros(mask.shape, values.dtype)
        dense[mask] = values.reshape(-1)
        return dense

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Read which entries of a compressed weight are kept."""
        rows, columns = self.tensors[name].shape
        packed = self._file.read(name.removesuffix(WEIGHT) + BITMASK)
        bits = np.unpackbits(packed, axis=1, bitorder="little").view(np.bool_)
        label = f"{self._file.path}: the bitmask of {name!r}"
        if bits[:, columns:].any():
            raise CheckpointError(f"{label} has bits set beyond its {columns} columns; {_EXPECTED}")
        mask = bits[:, :columns]
        kept = mask.reshape(rows, columns // 4, 4).sum(axis=2, dtype=np.uint8)
        wrong = np.argwhere(kept != 2)
        if len(wrong):
            row, group = map(int, wrong[0])
            raise CheckpointError(
                f"{label} keeps {kept[row, group]} of the four entries from [{row}, {4 * group}] "
                f"on, expected 2; {_EXPECTED}"
            )
        return mask


def is_bitmask_file(file: Checkpoint) -> bool:
    """Tell whether an open checkpoint holds weights in this layout."""
    return bool(_modules(file))


def bitmask_shapes(shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Shapes of the values and of the bits of a matrix."""
    rows, columns = shape
    return (rows, columns // 2), (rows, -(-columns // 8))


def fill_two_of_four(kept: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Keep two of every four entries of each row: those that are kept, then the first others.

    None if there are more than two already. The number of columns is a multiple of 4.
    """
    groups = kept.reshape(-1, 4)
    if (groups.sum(axis=1, dtype=np.uint8) > 2).any():
        return None
    # A stable order: kept entries, then the others from the left.
    order = np.argsort(~groups, axis=1, kind="stable")[:, :2]
    filled = np.zeros_like(groups)
    np.put_along_axis(filled, order, True, axis=1)
    return filled.reshape(kept.shape)


def _split(name: str) -> tuple[str, str]:
    module, dot, part = name.rpartition(".")
    return module, dot + part


def _modules(file: Checkpoint) -> dict[str, None]:
    """Find modules whose weight is compressed."""
    names = file.tensors
    return {
        module: None
        for module, part in map(_split, names)
        if part == BITMASK and module + COMPRESSED in names and module + SHAPE in names
    }


def _info(file: Checkpoint, module: str) -> TensorInfo:
    """Describe the matrix that three tensors stand for, if they belong together."""
    label = f"{file.path}: the weight of {module!r}"
    values, bits, shape = (file.tensors[module + part] for part in (COMPRESSED, BITMASK, SHAPE))
    if module + _UNSTRUCTURED in file.tensors or len(values.shape) != 2:
        raise CheckpointError(
            f"{label} is in the layout sparse-bitmask, for any zeros, which is not read; expected "
            "sparse-24-bitmask: make it dense with the package compressed-tensors (before 0.15)"
        )
    if module + WEIGHT in file.tensors:
        raise CheckpointError(f"{label} is there twice, dense and compressed; {_EXPECTED}")
    if shape.dtype != "int64" or shape.shape not in ((2,), (2, 1)):
        raise CheckpointError(
            f"{label} is damaged: its shape is {shape.dtype} of shape {shape.shape}; {_EXPECTED}"
        )
    rows, columns = map(int, file.read(module + SHAPE).reshape(-1))
    fits = rows >= 0 and columns >= 0 and columns % 4 == 0 and bits.dtype == "uint8"
    if not fits or (values.shape, bits.shape) != bitmask_shapes((rows, columns)):
        raise CheckpointError(
            f"{label} is damaged: shape ({rows}, {columns}), values {values.shape} and bits "
            f"{bits.dtype} {bits.shape} do not belong together; {_EXPECTED}"
        )
    if values.array_dtype is None:
        raise CheckpointError(f"{label} has dtype {values.dtype}, unknown to NumPy")
    size = values.nbytes + bits.nbytes + shape.nbytes
    dtype = values.array_dtype
    return TensorInfo(module + WEIGHT, (rows, columns), f"2:4 {values.dtype}", size, dtype)
