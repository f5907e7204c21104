"""Public names that no page describes yet, put at the end of the page of their module.

So the reference misses none, and whoever adds a public name chooses its place when it is due.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# The page of each public module; a name that several export is described once.
PAGES = {
    "tnm_core": "api/masks.md",
    "tnm_core.products": "api/products.md",
    "tnm_core.counting": "api/counting.md",
    "tnm_core.listing": "api/counting.md",
    "tnm_core.checkpoint": "api/checkpoint.md",
    "tnm_core.scale": "api/scale.md",
    "tnm_core.cli": "api/scale.md",
    "tnm_core.plots": "api/plots.md",
    "tnm_core.weights": "api/weights.md",
    "tnm_core.torch": "api/torch.md",
    "tnm_core.torch.calibrate": "api/calibrate.md",
    "tnm_core.torch.calibrate.allocate": "api/calibrate.md",
}
DIRECTIVE = re.compile(r"^::: ([\w.]+)(?:\n    options:\n      heading: ([\w.]+))?", re.MULTILINE)


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Add what is missing on a page of the API."""
    missing = [f"::: {name}" for name in undescribed(page.file.src_uri)]
    return "\n\n".join([markdown.rstrip(), *missing]) + "\n"


def undescribed(page: str) -> list[str]:
    """List public names of the modules of a page that no page describes."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md")]
    described = {
        (match[2] or match[1]).rpartition(".")[2]
        for text in texts
        for match in DIRECTIVE.finditer(text)
    }
    return [
        f"{module}.{name}"
        for module, place in PAGES.items()
        if place == page
        for name in public_names(module)
        if name not in described
    ]


def public_names(module: str) -> list[str]:
    """Read ``__all__`` without importing the module, which may need packages."""
    path = ROOT / "python" / Path(*module.split(".")) / "__init__.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    raise ValueError(f"{path} has no __all__")
