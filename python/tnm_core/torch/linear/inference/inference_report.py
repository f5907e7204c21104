"""What packing a model for inference did, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from tnm_core.short_repr import short_repr
from tnm_core.skip import Skip

_MB = 1e6


@dataclass(frozen=True)
class PackedWeight:
    """A weight of which only the packed form is left.

    Attributes
    ----------
    shape : tuple of int
        That of the dense weight.
    density : float
        Share of its entries that are kept.
    dtype : str
        In which products are computed, such as ``"float32"``.
    dense_bytes, packed_bytes : int
        What the weight took and takes.
    """

    shape: tuple[int, ...]
    density: float
    dtype: str
    dense_bytes: int
    packed_bytes: int

    def __str__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        sizes = f"{self.dense_bytes / _MB:.2f} -> {self.packed_bytes / _MB:.2f} MB"
        return f"{shape}, density {self.density:.4f}, {self.dtype}, {sizes}"


@dataclass(frozen=True)
class InferenceReport:
    """What `pack_for_inference_` did; printing it gives a list.

    Attributes
    ----------
    packed : dict of str to PackedWeight
        By module name.
    skips : dict of str to Skip
        Layers with a matrix that stay dense, with the code of the reason and its values.
    bytes_before, bytes_after : int
        All parameters and buffers of the model.
    """

    packed: dict[str, PackedWeight]
    skips: dict[str, Skip]
    bytes_before: int
    bytes_after: int

    __repr__ = short_repr

    @property
    def skipped(self) -> dict[str, str]:
        """Layers with a matrix that stay dense, with the reason as a sentence."""
        return {name: str(skip) for name, skip in self.skips.items()}

    def __str__(self) -> str:
        sizes = f"{self.bytes_before / _MB:.2f} -> {self.bytes_after / _MB:.2f} MB"
        lines = [f"{len(self.packed)} layers packed, {len(self.skips)} left dense; {sizes}"]
        lines.extend(f"  {name}: {weight}" for name, weight in self.packed.items())
        lines.extend(f"  {name}: left dense: {skip}" for name, skip in self.skips.items())
        return "\n".join(lines)
