"""What is fine-tuned: patterns, texts, lengths."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

TEXTS = ("mixture", "news")


@dataclass(frozen=True)
class Arm:
    """One training: its pattern, its text, its optimizer steps."""

    pattern: str
    text: str = "mixture"
    steps: int = 1200
    seed: int = 0

    @property
    def file_name(self) -> str:
        """The name of the file of its result."""
        pattern = self.pattern.replace(":", "of").replace(" ", "-")
        return f"{pattern}_{self.text}_{self.steps}_{self.seed}.json"

    def __str__(self) -> str:
        return f"{self.pattern} {self.text} {self.steps}"

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


# Long ones first; short ones say what other text and other masks make of the same effort.
LONG, SHORT = 1200, 250
DEFAULT = (
    Arm("16:32", steps=LONG),
    Arm("2:4", steps=LONG),
    Arm("16:32", steps=SHORT),
    Arm("2:4", steps=SHORT),
    Arm("2:4", "news", steps=SHORT),
    Arm("row 2:4", steps=SHORT),
)
