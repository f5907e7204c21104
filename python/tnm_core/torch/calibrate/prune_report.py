"""What `prune_model` did to every layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tnm_core.torch.report import aligned

__all__ = ["PruneReport", "PrunedLayer"]

_HEADER = ("layer", "shape", "pattern", "error", "retained", "density", "seconds", "left alone")


@dataclass(frozen=True)
class PrunedLayer:
    """One layer: what was done, or why nothing was.

    Attributes
    ----------
    name, kind : str
        The layer's name in the model, and its class.
    shape : tuple of int
        Of its weight.
    pattern : str or None
        Such as "2:4" or "row 2:4"; None if the layer was left alone.
    reason : str or None
        Why it was left alone; None if it was pruned.
    error : float or None
        Squared error of its outputs on the calibration data over the variance of the wanted ones
        (over their mean square, if no bias is corrected); None for recipes without data.
    retained : float or None
        Share of the magnitude of its dense weight that the mask keeps.
    density : float or None
        Share of the entries that are kept.
    seconds : float or None
        Wall time, running the model included.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    pattern: str | None
    reason: str | None
    error: float | None
    retained: float | None
    density: float | None
    seconds: float | None

    @classmethod
    def left_alone(cls, name: str, kind: str, shape: tuple[int, ...], reason: str) -> PrunedLayer:
        """A layer to which nothing was done."""
        return cls(name, kind, shape, None, reason, None, None, None, None)


@dataclass(frozen=True)
class PruneReport:
    """What `prune_model` did; ``str()`` gives a table.

    Attributes
    ----------
    recipe : str
        Its name.
    layers : tuple of PrunedLayer
        All layers with a weight matrix, in the order of the model.
    """

    recipe: str
    layers: tuple[PrunedLayer, ...]

    @property
    def pruned(self) -> tuple[PrunedLayer, ...]:
        """The layers that were pruned."""
        return tuple(layer for layer in self.layers if layer.reason is None)

    @property
    def skipped(self) -> tuple[PrunedLayer, ...]:
        """The layers that were left alone."""
        return tuple(layer for layer in self.layers if layer.reason is not None)

    @property
    def seconds(self) -> float:
        """Wall time of all layers."""
        return sum(layer.seconds or 0.0 for layer in self.layers)

    def to_records(self) -> list[dict[str, Any]]:
        """Return one dict a layer, as ``pandas.DataFrame`` takes them."""
        return [asdict(layer) for layer in self.layers]

    def __str__(self) -> str:
        head = (
            f"recipe {self.recipe}: {len(self.pruned)} of {len(self.layers)} layers in "
            f"{self.seconds:.1f} s"
        )
        return "\n".join((head, "", *aligned([_HEADER, *map(_row, self.layers)])))


def _row(layer: PrunedLayer) -> tuple[str, ...]:
    numbers = (layer.error, layer.retained, layer.density)
    return (
        layer.name or "(the model)",
        " x ".join(map(str, layer.shape)),
        layer.pattern or "",
        *("" if number is None else f"{number:.4f}" for number in numbers),
        "" if layer.seconds is None else f"{layer.seconds:.1f}",
        layer.reason or "",
    )
