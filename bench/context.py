"""How long and how large a run is, and where it writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True)
class Context:
    output: Path
    quick: bool = False

    @property
    def seconds(self) -> float:
        """For the repeats of one measurement."""
        return 0.04 if self.quick else 0.25

    @property
    def side(self) -> int:
        """Of the square matrix of an ordinary measurement: 4096 is beyond the last cache."""
        return 1024 if self.quick else 4096

    @property
    def headline_side(self) -> int:
        return 2048 if self.quick else 8192

    @property
    def peer_seconds(self) -> float:
        """For one peer on one pattern."""
        return 0.15 if self.quick else 1.5


def note(text: str) -> None:
    print(text, flush=True)
