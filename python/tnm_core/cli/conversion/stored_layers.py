"""What becomes of one layer in a safetensors file of some format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint import (
    BITMASK,
    BITS,
    COMPRESSED,
    SHAPE,
    VALUES,
    WEIGHT,
    StoredTensor,
    bitmask_shapes,
)
from tnm_core.cli.conversion.forms import Form, two_of_four
from tnm_core.cli.conversion.layers import Layer, LayerReader

Parts = tuple[NDArray[Any], NDArray[np.bool_]]


class _LastRead:
    """The values and the mask of the layer that was read last: its parts follow each other."""

    def __init__(self, reader: LayerReader, form: Form) -> None:
        self._reader, self._form = reader, form
        self._name: str | None = None
        self._parts: Parts | None = None

    def __call__(self, layer: Layer) -> Parts:
        if self._parts is None or self._name != layer.info.name:
            self._parts = None  # before the next one is read
            weights = self._reader.weights(layer)
            kept = self._reader.kept(layer, weights)
            if self._form.wants_two_of_four:
                pattern = None if layer.pattern is None else str(layer.pattern)
                kept = two_of_four(layer.info.name, kept, self._form, pattern)
            self._name, self._parts = layer.info.name, (weights, kept)
        return self._parts


class LayerWriter:
    """Describes layers as tensors of a file; what they hold is read when they are written."""

    def __init__(self, reader: LayerReader, form: Form) -> None:
        self._form = form
        self._read = _LastRead(reader, form)

    def stored(self, layer: Layer) -> list[StoredTensor]:
        """Describe one layer."""
        return _STORED[self._form](layer, self._read)

    def weights(self, layer: Layer) -> NDArray[Any]:
        """Read the values of a layer, and see that the format can hold them."""
        return self._read(layer)[0]


def _dense(layer: Layer, read: Callable[[Layer], Parts]) -> list[StoredTensor]:
    info = layer.info
    return [StoredTensor.of(info.name, _dtype(layer), info.shape, lambda: read(layer)[0])]


def _packed(layer: Layer, read: Callable[[Layer], Parts]) -> list[StoredTensor]:
    name = layer.info.name
    _, kept = read(layer)  # of masks the size must be known before anything is written
    count, size = int(np.count_nonzero(kept)), -(-kept.size // 8)

    def values() -> NDArray[Any]:
        weights, kept = read(layer)
        return weights[kept]

    def bits() -> NDArray[Any]:
        return np.packbits(read(layer)[1].reshape(-1), bitorder="little")

    return [
        StoredTensor.of(name + VALUES, _dtype(layer), (count,), values),
        StoredTensor.of(name + BITS, np.dtype(np.uint8), (size,), bits),
    ]


def _bitmask(layer: Layer, read: Callable[[Layer], Parts]) -> list[StoredTensor]:
    module = layer.info.name.removesuffix(WEIGHT)
    of_values, of_bits = bitmask_shapes(layer.info.shape)

    def values() -> NDArray[Any]:
        weights, kept = read(layer)
        return weights[kept].reshape(of_values)

    def bits() -> NDArray[Any]:
        return np.packbits(read(layer)[1], axis=1, bitorder="little")

    shape = np.array(layer.info.shape, dtype=np.int64).reshape(2, 1)
    return [
        StoredTensor.of(module + COMPRESSED, _dtype(layer), of_values, values),
        StoredTensor.of(module + BITMASK, np.dtype(np.uint8), of_bits, bits),
        StoredTensor.of(module + SHAPE, shape.dtype, shape.shape, lambda: shape),
    ]


def _dtype(layer: Layer) -> np.dtype[Any]:
    dtype = layer.info.array_dtype
    assert dtype is not None  # else it was not selected
    native: np.dtype[Any] = dtype.newbyteorder("=")
    return native


_STORED = {Form.DENSE: _dense, Form.PACKED: _packed, Form.BITMASK: _bitmask}
