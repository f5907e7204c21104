"""What a conversion did, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from tnm_core.short_repr import short_repr
from tnm_core.skip import Skip


@dataclass(frozen=True)
class ConvertedLayer:
    """What multiplies for one layer.

    Attributes
    ----------
    shape : tuple of int
        (out_features, in_features).
    density : float
        Share of weights that are kept.
    backend : str or None
        The back end at work; None while the one asked for cannot be used.
    reason : str
        Why that one.
    """

    shape: tuple[int, int]
    density: float
    backend: str | None
    reason: str

    __repr__ = short_repr

    def __str__(self) -> str:
        shape, active = " x ".join(map(str, self.shape)), self.backend or "nothing yet"
        return f"{shape}, density {self.density:.4f}, {active} ({self.reason})"


@dataclass(frozen=True)
class ConversionReport:
    """What `to_sparse_linear_` did, layer by layer; printing it gives a list.

    Attributes
    ----------
    pattern : str
        n:m, or row n:m.
    converted : dict of str to ConvertedLayer
        By module name.
    skips : dict of str to Skip
        Layers with a matrix that were left alone, with the code of the reason and its values.
    """

    pattern: str
    converted: dict[str, ConvertedLayer]
    skips: dict[str, Skip]

    __repr__ = short_repr

    @property
    def skipped(self) -> dict[str, str]:
        """Layers with a matrix that were left alone, with the reason as a sentence."""
        return {name: str(skip) for name, skip in self.skips.items()}

    def __str__(self) -> str:
        lines = [f"{len(self.converted)} layers at {self.pattern}, {len(self.skips)} left alone"]
        lines.extend(f"  {name}: {layer}" for name, layer in self.converted.items())
        lines.extend(f"  {name}: left alone: {skip}" for name, skip in self.skips.items())
        return "\n".join(lines)
