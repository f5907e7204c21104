"""What is fine-tuned: patterns, texts, lengths."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

TEXTS = ("mixture", "news")


@dataclass(frozen=True)
class Arm:
    """One training: pattern, text, optimizer steps, sentences to calibrate with, learning rate."""

    pattern: str
    text: str = "mixture"
    steps: int = 250
    sentences: int = 512
    learning_rate: float = 2e-4
    seed: int = 0

    @property
    def file_name(self) -> str:
        """The name of the file of its result."""
        pattern = self.pattern.replace(":", "of").replace(" ", "-")
        numbers = f"{self.steps}_{self.sentences}_{self.learning_rate:g}_{self.seed}"
        return f"{pattern}_{self.text}_{numbers}.json"

    def __str__(self) -> str:
        return f"{self.pattern} {self.text} {self.steps}"

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


# Each takes a quarter of an hour of one core.
DEFAULT = (
    Arm("16:32", steps=1200),
    Arm("2:4", steps=800, learning_rate=3e-4),
    Arm("row 2:4", steps=800, learning_rate=3e-4),
)
