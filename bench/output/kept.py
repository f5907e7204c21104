"""Results that are kept beside the documents, so that a test can compare pages with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = "results"


def keep(results: Any, docs: Path, name: str) -> None:
    """Write the results that a page or a table comes from; the file is whole at any time."""
    folder = docs / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f"{name}.part"
    beside.write_text(json.dumps(results, separators=(",", ":")) + "\n")
    beside.replace(folder / f"{name}.json")


def kept(docs: Path, name: str) -> Any:
    """Read such results."""
    return json.loads((docs / FOLDER / f"{name}.json").read_text())
