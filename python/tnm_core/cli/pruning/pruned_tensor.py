"""What pruning did to tensors, in figures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tnm_core.checkpoint import TensorInfo

RETAINED_KINDS = ("optimal", "rowwise", "unstructured")


@dataclass
class PrunedTensor:
    """The figures of one tensor; scores are sums, so that tensors can be added up.

    Attributes
    ----------
    kept_scores : dict of str to float
        Sum of the scores that each way of pruning keeps: the method that was used, the
        transposable optimum, row-wise, and unstructured at the same density.
    largest : float
        Largest magnitude of an entry.
    worst_gap : float or None
        Largest relative gap of the certificate; None if the method has none.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    entries: int = 0
    kept: int = 0
    score: float = 0.0
    largest: float = 0.0
    kept_scores: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    worst_gap: float | None = None

    @classmethod
    def of(cls, info: TensorInfo) -> PrunedTensor:
        """Begin to report on a tensor."""
        return cls(info.name, info.shape, info.dtype)

    @classmethod
    def total(cls, tensors: Iterable[PrunedTensor]) -> PrunedTensor:
        """Add tensors up."""
        total = cls("total", (), "")
        for tensor in tensors:
            total.add(tensor)
        return total

    @property
    def density(self) -> float:
        """Share of entries that are kept."""
        return self.kept / self.entries if self.entries else 0.0

    def retained(self, kind: str) -> float:
        """Return the share of the score that is kept; nothing is lost where there is nothing."""
        return self.kept_scores[kind] / self.score if self.score else 1.0

    def add(self, other: PrunedTensor) -> None:
        """Add the figures of another tensor, or of a part of this one."""
        self.entries += other.entries
        self.kept += other.kept
        self.score += other.score
        self.largest = max(self.largest, other.largest)
        self.seconds += other.seconds
        for kind, value in other.kept_scores.items():
            self.kept_scores[kind] = self.kept_scores.get(kind, 0.0) + value
        if other.worst_gap is not None:
            self.worst_gap = max(self.worst_gap or 0.0, other.worst_gap)

    def as_json(self) -> dict[str, Any]:
        """Give the figures under the names of the JSON report."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "entries": self.entries,
            "kept": self.kept,
            "density": self.density,
            "retained": {kind: _or_null(self.retained(kind)) for kind in self.kept_scores},
            "seconds": self.seconds,
            "worst_gap": None if self.worst_gap is None else _or_null(self.worst_gap),
        }


def _or_null(value: float) -> float | None:
    """Replace NaN, which JSON does not know: sums beyond the range of float64 end in it."""
    return value if math.isfinite(value) else None
