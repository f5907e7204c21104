"""What `sparsify_` did to every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["LayerReport", "SparsifyReport", "aligned"]


_HEADER = ("layer", "kind", "shape", "retained", "density", "left alone because")


@dataclass(frozen=True)
class LayerReport:
    """One layer: what was done, or why nothing was.

    Attributes
    ----------
    name : str
        The layer's name in the model, "" for the model itself.
    kind : str
        Its class.
    shape : tuple of int
        Of its weight.
    pattern : str or None
        Such as "2:4"; None if the layer was left alone.
    reason : str or None
        Why it was left alone; None if it was made sparse.
    retained : float or None
        Share of the total score that is kept, in [0, 1] for scores that are not negative.
    density : float or None
        Share of the entries that are kept.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    pattern: str | None
    reason: str | None
    retained: float | None
    density: float | None


@dataclass(frozen=True)
class SparsifyReport:
    """What `sparsify_` did; ``str()`` gives a table.

    Attributes
    ----------
    pattern : str
        The pattern that was asked for.
    score : str
        How entries were valued.
    method : str
        How masks were found.
    layers : tuple of LayerReport
        All layers with a weight matrix, in the order of the model.
    """

    pattern: str
    score: str
    method: str
    layers: tuple[LayerReport, ...]

    @property
    def sparse(self) -> tuple[LayerReport, ...]:
        """The layers that were made sparse."""
        return tuple(layer for layer in self.layers if layer.reason is None)

    @property
    def skipped(self) -> tuple[LayerReport, ...]:
        """The layers that were left alone."""
        return tuple(layer for layer in self.layers if layer.reason is not None)

    def to_records(self) -> list[dict[str, Any]]:
        """Return one dict a layer, as ``pandas.DataFrame`` takes them."""
        return [asdict(layer) for layer in self.layers]

    def __str__(self) -> str:
        head = (
            f"{self.pattern} on {len(self.sparse)} of {len(self.layers)} layers, "
            f"method {self.method}, score {self.score}"
        )
        rows = [_HEADER, *map(_row, self.layers)]
        return "\n".join((head, "", *aligned(rows)))


def _row(layer: LayerReport) -> tuple[str, ...]:
    return (
        layer.name or "(the model)",
        layer.kind,
        " x ".join(map(str, layer.shape)),
        _share(layer.retained),
        _share(layer.density),
        layer.reason or "",
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose columns are as wide as they must be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
