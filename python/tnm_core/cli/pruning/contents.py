"""Masks and non-zeros of a file, one tensor at a time, whatever the file is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint import (
    Checkpoint,
    MaskFile,
    PackedFile,
    PruneRecord,
    TensorInfo,
    is_mask_file,
    is_packed_file,
)
from tnm_core.cli.errors import CommandError
from tnm_core.cli.options import parse_pattern
from tnm_core.cli.pruning.matrix_axes import MatrixAxes, ThreeD
from tnm_core.cli.pruning.selection import weight_rules
from tnm_core.pattern import Pattern
from tnm_core.skip import Skip
from tnm_core.weights import WeightRules


@dataclass(frozen=True)
class Contents:
    """The tensors of a checkpoint, packed or not, or the masks of a mask file."""

    holds_masks: bool
    anonymous: bool  # one array under the name of its file, as .npy has it
    tensors: dict[str, TensorInfo]
    records: list[PruneRecord]
    read: Callable[[str], NDArray[Any]]
    _record_of: dict[str, PruneRecord]

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Contents:
        """Look into an open checkpoint."""
        masks = is_mask_file(checkpoint)
        source: Checkpoint | MaskFile | PackedFile = checkpoint
        if masks:
            source = MaskFile(checkpoint)
        elif is_packed_file(checkpoint):
            source = PackedFile(checkpoint)
        anonymous = checkpoint.suffix == ".npy"
        records = checkpoint.records
        latest_last = reversed(records)
        record_of = {name: record for record in latest_last for name in record.layers}
        return cls(masks, anonymous, source.tensors, records, source.read, record_of)

    def support(self, name: str) -> NDArray[np.bool_]:
        """Tell where a tensor is not zero."""
        array = self.read(name)
        if array.dtype == np.bool_:
            return array
        with np.errstate(invalid="ignore"):  # NaN is not zero, a signalling one neither
            support: NDArray[np.bool_] = array != array.dtype.type(0)
        return support

    @cached_property
    def rules(self) -> WeightRules:
        """What the tensors are."""
        return weight_rules(self.tensors.values())

    def axes_of(self, name: str, three_d: ThreeD | None = None) -> MatrixAxes | Skip:
        """Tell how a tensor is read as matrices: as given, or as it was pruned, or as it lies."""
        record = self.record_of(name)
        if three_d is None and record is not None and record.three_d in ("stacked", "conv1d"):
            three_d = ThreeD(record.three_d)
        rank = len(self.tensors[name].shape)
        return MatrixAxes.of(rank, self.rules.layout(name), three_d or ThreeD.AUTO)

    def record_of(self, name: str) -> PruneRecord | None:
        """Find the run that pruned a tensor, as far as the file tells."""
        return self._record_of.get(name)

    def pattern_of(
        self, name: str, given: Pattern | None, source: str, transposable: bool | None = None
    ) -> Pattern:
        """Read the pattern of a tensor: what the user gave, and for the rest the file.

        A pattern that is row-wise by either of them is row-wise, unless ``transposable`` says.
        """
        record = self.record_of(name)
        if given is None:
            if record is None:
                raise CommandError(
                    f"{source} does not say how {name} was pruned; expected --pattern n:m"
                )
            given = parse_pattern(record.pattern, "the pattern in the metadata")
        if transposable is None:
            transposable = given.transposable and (record is None or record.transposable)
        return replace(given, transposable=transposable)
