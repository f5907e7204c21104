"""Masks and non-zeros of a file, one tensor at a time, whatever the file is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tnm_core.checkpoint import (
    BitmaskFile,
    Checkpoint,
    MaskFile,
    PackedFile,
    PruneRecord,
    TensorInfo,
    is_bitmask_file,
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
    """The tensors of a checkpoint, in whatever format, or the masks of a mask file."""

    holds_masks: bool
    anonymous: bool  # one array under the name of its file, as .npy has it
    tensors: dict[str, TensorInfo]
    records: list[PruneRecord]
    read: Callable[[str], NDArray[Any]]
    _record_of: dict[str, PruneRecord]
    source: Checkpoint | MaskFile | PackedFile | BitmaskFile

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Contents:
        """Look into an open checkpoint."""
        masks = is_mask_file(checkpoint)
        source: Checkpoint | MaskFile | PackedFile | BitmaskFile = checkpoint
        records = checkpoint.records
        if masks:
            source = MaskFile(checkpoint)
        elif is_packed_file(checkpoint):
            source = PackedFile(checkpoint)
        elif is_bitmask_file(checkpoint):
            source = BitmaskFile(checkpoint)
            records = source.records
        anonymous = checkpoint.suffix == ".npy"
        latest_last = reversed(records)
        record_of = {name: record for record in latest_last for name in record.layers}
        return cls(masks, anonymous, source.tensors, records, source.read, record_of, source)

    def support(self, name: str) -> NDArray[np.bool_]:
        """Tell where a tensor is not zero."""
        array = self.read(name)
        if array.dtype == np.bool_:
            return array
        with np.errstate(invalid="ignore"):  # NaN is not zero, a signalling one neither
            support: NDArray[np.bool_] = array != array.dtype.type(0)
        return support

    @property
    def encoded(self) -> tuple[str, ...]:
        """The tensors that do not lie in the file as such, but in a sparse format."""
        if isinstance(self.source, (PackedFile, BitmaskFile)):
            return self.source.layers
        return ()

    def stored_mask(self, name: str) -> NDArray[np.bool_] | None:
        """Read the mask that a file holds of a tensor; None if it holds its values alone."""
        if isinstance(self.source, MaskFile):
            return self.source.read(name)
        if isinstance(self.source, (PackedFile, BitmaskFile)) and name in self.source.layers:
            return self.source.mask(name)
        return None

    @cached_property
    def rules(self) -> WeightRules:
        """What the tensors are."""
        return weight_rules(self.tensors.values())

    def axes_of(self, name: str, three_d: ThreeD | None = None) -> MatrixAxes | Skip:
        """Tell how a tensor is read as matrices: as given, or as it was pruned, or as it lies."""
        record = self.record_of(name)
        rank = len(self.tensors[name].shape)
        if three_d is None and record is not None:
            told = MatrixAxes.__members__.get(record.axes_of(name) or "")
            if told is not None and len(told.value) == rank:
                return told
            if record.three_d in ("stacked", "conv1d"):
                three_d = ThreeD(record.three_d)
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
