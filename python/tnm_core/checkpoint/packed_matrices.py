"""Packed matrices on disk: their values and one bit per entry, in a safetensors file.

A matrix ``NAME`` is two tensors. ``NAME_values`` has one axis and holds what is kept, row by row;
``NAME_bits`` is the mask as in a file of masks: a flat U8 tensor of ``ceil(entries / 8)`` bytes,
entries in C order, the first in the lowest bit, unused bits zero. The shapes stand in the metadata.
Dense tensors lie beside them under their own names, so that the state of a model fits in one file.

No bits are left out, although a pattern makes some of them follow from others: so any mask can be
kept, and `numpy.unpackbits` reads it. What could be saved of a bfloat16 file is a hundredth at
16:32 and a twentieth at 2:4.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tnm_core.arguments import as_array
from tnm_core.checkpoint.base import Checkpoint, TensorInfo
from tnm_core.checkpoint.errors import CheckpointError
from tnm_core.checkpoint.formats import StoredTensor, write_tensors
from tnm_core.checkpoint.parsing import read_shapes
from tnm_core.checkpoint.records import PruneRecord, record_metadata
from tnm_core.checkpoint.safetensors_file import SafetensorsFile, check_names
from tnm_core.checkpoint.shard_index import INDEX_SUFFIX
from tnm_core.checkpoint.sharded import ShardedCheckpoint
from tnm_core.checkpoint.writing import FileTransaction
from tnm_core.pattern import PatternLike, as_pattern
from tnm_core.products import PackedMatrix, TransposedPackedMatrix

FORMAT_KEY = "tnm.packed_format"
SHAPES_KEY = "tnm.packed_shapes"
FORMAT = "packed values 1"
VALUES = "_values"
BITS = "_bits"
_MOST_EMPTY_ROWS = 1 << 24  # of a matrix without entries, which no bytes of a file stand for


class PackedFile:
    """A file of packed matrices and dense tensors, read one at a time."""

    def __init__(self, file: Checkpoint) -> None:
        self._file = file
        self._shapes = _read_shapes(file)
        parts = {name + part for name in self._shapes for part in (VALUES, BITS)}
        self.tensors = {name: self._packed_info(name) for name in self._shapes}
        self.tensors.update(item for item in file.tensors.items() if item[0] not in parts)

    def read(self, name: str) -> NDArray[Any]:
        """Read one tensor, a packed one as a dense matrix."""
        found = self.load(name)
        return found.toarray() if isinstance(found, PackedMatrix) else found

    def load(self, name: str) -> PackedMatrix | NDArray[Any]:
        """Read one tensor, a packed one as it is."""
        if name not in self._shapes:
            return self._file.read(name)
        values, bits = self._file.read(name + VALUES), self._file.read(name + BITS)
        try:
            return PackedMatrix.from_arrays(values, bits, self._shapes[name])
        except (TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self._file.path}: the packed matrix {name!r} is damaged: {error}; "
                "write the file again with save_packed"
            ) from None

    @property
    def layers(self) -> tuple[str, ...]:
        """The packed matrices."""
        return tuple(self._shapes)

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Read which entries of a packed matrix are kept."""
        matrix = self.load(name)
        if not isinstance(matrix, PackedMatrix):
            raise CheckpointError(f"{self._file.path}: {name!r} is dense, expected a packed matrix")
        bits = matrix.to_arrays().bits
        rows, columns = matrix.shape
        flags = np.unpackbits(bits, count=rows * columns, bitorder="little")
        return flags.view(np.bool_).reshape(rows, columns)

    def _packed_info(self, name: str) -> TensorInfo:
        values, bits = self._file.tensors[name + VALUES], self._file.tensors[name + BITS]
        size = values.nbytes + bits.nbytes
        label = f"packed {values.dtype}"
        return TensorInfo(name, self._shapes[name], label, size, values.array_dtype)


def is_packed_file(file: Checkpoint) -> bool:
    """Tell whether an open checkpoint holds packed matrices."""
    return isinstance(file, (SafetensorsFile, ShardedCheckpoint)) and FORMAT_KEY in file.metadata


def packed_metadata(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Say in the metadata of a file which packed matrices of which shapes it holds."""
    return {FORMAT_KEY: FORMAT, SHAPES_KEY: json.dumps(shapes)}


def save_packed(
    path: str | PathLike[str],
    tensors: Mapping[str, PackedMatrix | ArrayLike],
    *,
    pattern: PatternLike | None = None,
    method: str = "optimal",
    score: str = "abs",
) -> None:
    """Save packed matrices, and dense tensors beside them, in a safetensors file.

    Parameters
    ----------
    path : path-like
        The file to write; it is replaced at once when everything is written.
    tensors : mapping of str to PackedMatrix or array
        Dense arrays, of any dtype that safetensors has, are stored as they are.
    pattern : str, pair of int, or Pattern, optional
        The pattern that the packed matrices obey: ``"2:4"``, or ``"row 2:4"`` if it holds along
        the last axis alone; `tnm check` reads it.
    method, score : str
        How the masks were found; recorded only together with a pattern.

    Raises
    ------
    TypeError
        If a tensor has a dtype that safetensors lacks, or a name is no str.
    ValueError
        If `pattern` is none, two tensors would be stored under one name, or the file could not
        hold a name, as ``"__metadata__"``.
    CheckpointError
        If the file cannot be written.

    See Also
    --------
    load_packed : Read them back.

    Notes
    -----
    A matrix ``w`` is stored as ``w_values``, its kept entries row by row, and ``w_bits``, one bit
    per entry; `tnm_core.products.PackedArrays` says how. At half density that is .53 of the dense
    matrix in float32 and .5625 in the 16-bit types.

    Examples
    --------
    >>> import numpy as np
    >>> import tnm_core as tnm
    >>> from tnm_core.checkpoint import load_packed, save_packed
    >>> weights = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    >>> packed = tnm.pack(weights, tnm.transposable_mask(weights, "2:4"))
    >>> bias = np.zeros(64, np.float32)
    >>> save_packed("layer.safetensors", {"weight": packed, "bias": bias}, pattern="2:4")
    >>> loaded = load_packed("layer.safetensors")
    >>> x = np.ones((1, 32), np.float32)
    >>> bool((x @ loaded["weight"].T == x @ packed.T).all())
    True
    """
    check_names(tensors)
    stored = [part for name, tensor in tensors.items() for part in _parts(name, tensor)]
    _check_names([part.entry.name for part in stored])
    shapes = {name: item.shape for name, item in tensors.items() if isinstance(item, PackedMatrix)}
    metadata = packed_metadata(shapes)
    if pattern is not None:
        record = PruneRecord.of(as_pattern(pattern), method, score, shapes)
        metadata.update(record_metadata(record, []))
    with FileTransaction() as transaction:
        write_tensors(transaction.open(Path(path)), stored, metadata)


def load_packed(path: str | PathLike[str]) -> dict[str, PackedMatrix | NDArray[Any]]:
    """Read what `save_packed` wrote: packed matrices as such, dense tensors as arrays.

    Parameters
    ----------
    path : path-like
        The file, or the index ``*.safetensors.index.json`` of several, as ``tnm convert`` writes
        them.

    Returns
    -------
    dict of str to PackedMatrix or ndarray
        Packed matrices first.

    Raises
    ------
    CheckpointError
        If the file is damaged, or `save_packed` did not write it.

    See Also
    --------
    save_packed : Write them; with an example.
    """
    found = Path(path)
    is_index = found.name.endswith(INDEX_SUFFIX)
    with ShardedCheckpoint(found) if is_index else SafetensorsFile(found) as file:
        if not is_packed_file(file):
            raise CheckpointError(
                f"{path} holds no packed matrices; expected a file written by save_packed"
            )
        packed = PackedFile(file)
        return {name: packed.load(name) for name in packed.tensors}


def _parts(name: str, tensor: PackedMatrix | ArrayLike) -> list[StoredTensor]:
    if isinstance(tensor, TransposedPackedMatrix):
        raise TypeError(
            f"{name!r} is the transpose of a packed matrix, expected the matrix: its .T"
        )
    if not isinstance(tensor, PackedMatrix):
        array = as_array(tensor, repr(name))
        return [StoredTensor.of(name, array.dtype, array.shape, lambda: array)]
    size = -(-math.prod(tensor.shape) // 8)
    held: list[NDArray[np.uint8]] = []  # bits, from when the values are written on

    def values() -> NDArray[Any]:
        arrays = tensor.to_arrays()
        held.append(arrays.bits)
        return arrays.values

    def bits() -> NDArray[Any]:
        return held.pop() if held else tensor.to_arrays().bits

    return [
        StoredTensor.of(name + VALUES, tensor.dtype, (tensor.nnz,), values),
        StoredTensor.of(name + BITS, np.dtype(np.uint8), (size,), bits),
    ]


def _check_names(names: list[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(
                f"two tensors would be stored as {name!r}, expected names that differ: a packed "
                f"matrix takes its own with {VALUES} and {BITS}"
            )


def _read_shapes(file: Checkpoint) -> dict[str, tuple[int, int]]:
    if file.metadata.get(FORMAT_KEY) != FORMAT:
        raise CheckpointError(
            f"{file.path} holds packed matrices in the format {file.metadata.get(FORMAT_KEY)!r}; "
            f"this version reads {FORMAT!r}: upgrade tnm_core"
        )
    expected = "expected shapes of packed matrices as save_packed writes them"
    shapes = read_shapes(file.metadata.get(SHAPES_KEY), str(file.path), expected)
    pairs = {}
    for name, shape in shapes.items():
        if len(shape) != 2 or (0 in shape and max(shape) > _MOST_EMPTY_ROWS):
            raise CheckpointError(
                f"{file.path} is damaged: {name!r} has the shape {shape}; {expected}"
            )
        pairs[name] = (shape[0], shape[1])
        _check_parts(file, name)
    return pairs


def _check_parts(file: Checkpoint, name: str) -> None:
    held = [part for part in (name, name + VALUES, name + BITS) if part in file.tensors]
    if held != [name + VALUES, name + BITS]:
        raise CheckpointError(
            f"{file.path}: the packed matrix {name!r} is damaged: expected tensors "
            f"{name + VALUES!r} and {name + BITS!r}, found {', '.join(map(repr, held)) or 'none'}; "
            "write the file again with save_packed"
        )
