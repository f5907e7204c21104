"""Masks and non-zeros of a file, one tensor at a time, whatever the file is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint import (
    Checkpoint,
    MaskFile,
    PruneRecord,
    SafetensorsFile,
    TensorInfo,
    is_mask_file,
)


@dataclass(frozen=True)
class Contents:
    """Tensors of a checkpoint, or masks of a mask file, under one interface."""

    holds_masks: bool
    anonymous: bool  # one array under the name of its file, as .npy has it
    tensors: dict[str, TensorInfo]
    records: list[PruneRecord]
    read: Callable[[str], NDArray[Any]]

    def support(self, name: str) -> NDArray[np.bool_]:
        """Where a tensor is not zero."""
        array = self.read(name)
        return array if array.dtype == np.bool_ else array != array.dtype.type(0)


def contents_of(checkpoint: Checkpoint) -> Contents:
    """Look into an open checkpoint."""
    if not is_mask_file(checkpoint):
        return Contents(
            False,
            checkpoint.suffix == ".npy",
            checkpoint.tensors,
            checkpoint.records,
            checkpoint.read,
        )
    masks = MaskFile(cast(SafetensorsFile, checkpoint))
    flag = np.dtype(np.bool_)
    tensors = {
        name: TensorInfo(name, shape, "mask", checkpoint.tensors[name].nbytes, flag)
        for name, shape in masks.shapes.items()
    }
    return Contents(True, False, tensors, masks.records, masks.read)
