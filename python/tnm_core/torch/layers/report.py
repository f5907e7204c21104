"""What `sparsify_` did to every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tnm_core.short_repr import short_repr
from tnm_core.skip import Skip
from tnm_core.text_table import aligned

_COLUMNS = ("name", "kind", "shape", "pattern", "reason", "retained", "density")
_HEADER = ("layer", "kind", "shape", "retained", "density", "left alone because")


@dataclass(frozen=True)
class LayerReport:
    """One layer: what was done, or why nothing was.

    Attributes
    ----------
    name : str
        The layer's name in the model, "" for the model itself; that of the parameter if that is
        not called ``weight``.
    kind : str
        Its class.
    shape : tuple of int
        Of its weight.
    pattern : str or None
        Such as "2:4" or "row 2:4"; None if the layer was left alone.
    skip : Skip or None
        Why it was left alone, as a code with its values; None if it was made sparse.
    reason : str or None
        The same as a sentence.
    retained : float or None
        Share of the total score that is kept, in [0, 1] for scores that are not negative.
    density : float or None
        Share of the entries that are kept.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    pattern: str | None = None
    skip: Skip | None = None
    retained: float | None = None
    density: float | None = None

    @property
    def reason(self) -> str | None:
        """Why the layer was left alone; None if it was made sparse."""
        return None if self.skip is None else str(self.skip)


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
        All parameters that are matrices, in the order of the model.
    """

    pattern: str
    score: str
    method: str
    layers: tuple[LayerReport, ...]

    __repr__ = short_repr

    @property
    def sparse(self) -> tuple[LayerReport, ...]:
        """The layers that were made sparse."""
        return tuple(layer for layer in self.layers if layer.skip is None)

    @property
    def skipped(self) -> tuple[LayerReport, ...]:
        """The layers that were left alone."""
        return tuple(layer for layer in self.layers if layer.skip is not None)

    def to_records(self) -> list[dict[str, Any]]:
        """Return one dict per layer, as ``pandas.DataFrame`` takes them."""
        return [{name: getattr(layer, name) for name in _COLUMNS} for layer in self.layers]

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
