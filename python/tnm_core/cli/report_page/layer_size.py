"""What pruned layers take, dense and packed, and the sizes of all that is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tnm_core.checkpoint import TensorInfo
from tnm_core.cli.conversion import Form


@dataclass(frozen=True)
class LayerSize:
    """A pruned layer.

    Attributes
    ----------
    info : TensorInfo
        Its weight as it is written.
    kept : int
        How many of its entries the mask keeps.
    matrix : (int, int) or None
        Outputs and inputs, if the weight is one matrix.
    pattern : str
        Its pattern, as `--pattern` takes it.
    """

    info: TensorInfo
    kept: int
    matrix: tuple[int, int] | None
    pattern: str

    @property
    def packed_bytes(self) -> int | None:
        """What `tnm convert --to packed` makes of it; None if that leaves it dense."""
        if Form.PACKED.unsupported(self.info) is not None:
            return None
        entry = self.info.nbytes // max(1, self.info.entries)
        return self.kept * entry + -(-self.info.entries // 8)


@dataclass(frozen=True)
class Sizes:
    """Bytes of a run.

    Attributes
    ----------
    layers : tuple of LayerSize
        Those that were pruned.
    tensors : int
        Bytes of all tensors, the pruned ones and the others.
    files_before, files_after : int or None
        Bytes of the files of weights, where they are known and there are some.
    """

    layers: tuple[LayerSize, ...]
    tensors: int
    files_before: int | None = None
    files_after: int | None = None

    @property
    def entries(self) -> int:
        """Entries of the pruned layers."""
        return sum(one.info.entries for one in self.layers)

    @property
    def kept(self) -> int:
        """Entries that masks keep."""
        return sum(one.kept for one in self.layers)

    @property
    def dense_bytes(self) -> int:
        """Bytes of the pruned layers, zeros included."""
        return sum(one.info.nbytes for one in self.layers)

    @property
    def packed_bytes(self) -> int:
        """Bytes of the pruned layers where all that can be packed is."""
        return sum(_packed_or_dense(self.layers))

    @property
    def unpackable(self) -> int:
        """How many pruned layers stay dense when a checkpoint is packed."""
        return sum(one.packed_bytes is None for one in self.layers)


def _packed_or_dense(layers: Iterable[LayerSize]) -> Iterable[int]:
    for one in layers:
        packed = one.packed_bytes
        yield one.info.nbytes if packed is None else packed
