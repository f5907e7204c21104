"""The upper left corners of a few masks, kept while a run has them in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint import TensorInfo
from tnm_core.cli.pruning import MatrixAxes
from tnm_core.pattern import Pattern

_PICTURES = 4
_SIDE, _LARGEST_SIDE = 32, 64

_One = TypeVar("_One")


@dataclass(frozen=True)
class MaskCorner:
    """The corner of a layer's mask, and the magnitudes of its weights.

    Attributes
    ----------
    name : str
        The layer.
    pattern : Pattern
        Of the mask.
    shape : tuple of int
        Of the whole matrix, outputs and inputs.
    kept : array of bool, 2-D
        The corner.
    magnitudes : array of float64, of the same shape
        Of the weights before pruning, or, where those are gone, of those that were kept.
    """

    name: str
    pattern: Pattern
    shape: tuple[int, int]
    kept: NDArray[np.bool_]
    magnitudes: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        name: str,
        pattern: Pattern,
        shape: tuple[int, int],
        kept: NDArray[np.bool_],
        weights: NDArray[Any],
    ) -> MaskCorner:
        """Copy the corner of a matrix, or of the part of it that is in memory."""
        side = cls.side(pattern)
        part = kept[:side, :side].copy()
        values = np.abs(weights[:side, :side].astype(np.float64))
        return cls(name, pattern, shape, part, values)

    @staticmethod
    def side(pattern: Pattern) -> int:
        """Tell how much of a mask is drawn: whole tiles, if one is not larger than a picture."""
        if pattern.m > _SIDE:
            return min(pattern.m, _LARGEST_SIDE)
        return _SIDE // pattern.m * pattern.m


def some_of(everything: Sequence[_One], shape: Callable[[_One], object]) -> list[_One]:
    """Choose a few of many: the first of each shape, then the last and some between."""
    first = {shape(one): place for place, one in reversed([*enumerate(everything)])}
    last = len(everything) - 1
    spread = (round(last * index / (_PICTURES - 1)) for index in reversed(range(_PICTURES)))
    places = dict.fromkeys([*sorted(first.values()), *spread] if everything else [])
    return [everything[place] for place in sorted([*places][:_PICTURES])]


@dataclass
class CornerCollector:
    """Keeps corners of the named layers as they are pruned; called with the first block of each."""

    names: Collection[str]
    pattern: Pattern
    corners: list[MaskCorner] = field(default_factory=list)

    def __call__(
        self, info: TensorInfo, axes: MatrixAxes, block: NDArray[Any], mask: NDArray[np.bool_]
    ) -> None:
        """Look at a layer whose first block is in memory, not yet pruned."""
        if info.name not in self.names:
            return
        shape = tuple(info.shape[axis] for axis in axes.value[-2:])
        kept, weights = (_first_matrix(axes.matrices(array)) for array in (mask, block))
        self.corners.append(
            MaskCorner.of(info.name, self.pattern, (shape[0], shape[1]), kept, weights)
        )


def _first_matrix(matrices: NDArray[Any]) -> NDArray[Any]:
    """Take the first of a stack of matrices: of a convolution, the kernel position 0, 0."""
    first: NDArray[Any] = matrices[(0,) * (matrices.ndim - 2)]
    return first
