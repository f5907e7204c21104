"""The formats between which sparse checkpoints are converted, and what each can hold."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint import (
    WEIGHT,
    Checkpoint,
    MaskFile,
    TensorInfo,
    TorchFile,
    fill_two_of_four,
    is_bitmask_file,
    is_mask_file,
    is_packed_file,
)
from tnm_core.cli.errors import CommandError
from tnm_core.skip import Skip, SkipCode

_PACKED_DTYPES = ("float32", "float16", "bfloat16")
_SEMI_DTYPES = ("float16", "bfloat16")
_SEMI_ROWS, _SEMI_COLUMNS = 32, 64


class Form(str, Enum):
    """How the pruned layers of a checkpoint are stored."""

    DENSE = "dense"
    PACKED = "packed"
    BITMASK = "bitmask"
    SEMI_STRUCTURED = "semi-structured"
    MASKS = "masks"
    MASK_BITS = "mask-bits"

    @property
    def is_of_masks(self) -> bool:
        """Whether it holds masks alone, not weights."""
        return self in (Form.MASKS, Form.MASK_BITS)

    @property
    def wants_two_of_four(self) -> bool:
        """Whether it holds matrices whose rows keep two of every four, and nothing else."""
        return self in (Form.BITMASK, Form.SEMI_STRUCTURED)

    def unsupported(self, info: TensorInfo) -> Skip | None:
        """Tell why it has no place for a tensor, which stays dense then."""
        if info.array_dtype is None:
            return SkipCode.FORM_DTYPE(dtype=info.dtype, expected="what NumPy knows")
        if self is Form.DENSE or self.is_of_masks:
            return None
        if len(info.shape) != 2:
            return SkipCode.FORM_OF_MATRICES(rank=len(info.shape))
        if self is Form.BITMASK and not info.name.endswith(WEIGHT):
            return SkipCode.FORM_NAME()
        expected = {Form.PACKED: _PACKED_DTYPES, Form.SEMI_STRUCTURED: _SEMI_DTYPES}.get(self)
        dtype = info.dtype if info.array_dtype is None else info.array_dtype.name
        if expected is not None and dtype not in expected:
            return SkipCode.FORM_DTYPE(dtype=dtype, expected=", ".join(expected))
        return self._unsupported_sides(*info.shape)

    def _unsupported_sides(self, rows: int, columns: int) -> Skip | None:
        units = {Form.BITMASK: (1, 4), Form.SEMI_STRUCTURED: (_SEMI_ROWS, _SEMI_COLUMNS)}
        unit = units.get(self, (1, 1))
        if rows % unit[0] or columns % unit[1]:
            told = " x ".join(map(str, unit))
            return SkipCode.FORM_SIDES(rows=rows, columns=columns, unit=told)
        return None


def form_of(checkpoint: Checkpoint) -> Form:
    """Recognise the format of an open checkpoint."""
    if is_mask_file(checkpoint):
        return Form.MASKS if MaskFile(checkpoint).codes else Form.MASK_BITS
    if is_packed_file(checkpoint):
        return Form.PACKED
    if is_bitmask_file(checkpoint):
        return Form.BITMASK
    semi = isinstance(checkpoint, TorchFile) and bool(checkpoint.semi_structured)
    return Form.SEMI_STRUCTURED if semi else Form.DENSE


def two_of_four(
    name: str, kept: NDArray[np.bool_], form: Form, pattern: str | None
) -> NDArray[np.bool_]:
    """Fill a mask of rows up to two of every four; `CommandError` if it keeps more."""
    filled = fill_two_of_four(kept)
    if filled is not None:
        return filled
    counts = kept.reshape(kept.shape[0], -1, 4).sum(axis=2)
    row, group = map(int, np.argwhere(counts > 2)[0])
    told = "" if pattern is None else f" (its pattern is {pattern})"
    raise CommandError(
        f"{name}[{row}, {4 * group}:{4 * group + 4}] keeps {counts[row, group]}{told}, and "
        f"{form.value} holds rows of 2:4 alone; expected weights pruned to that, --to packed, or "
        f"--exclude {name}"
    )
