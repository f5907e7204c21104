"""Reports of ``tnm prune``, read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tnm_core.checkpoint import read_json_file
from tnm_core.cli.errors import CommandError, printable
from tnm_core.cli.options import parse_pattern
from tnm_core.cli.pruning.pruned_tensor import RETAINED_KINDS

_EXPECTED = "expected what tnm prune --json prints"


def read_report(path: Path) -> dict[str, Any]:
    """Read a report: texts that can be drawn, and figures for the same kinds in every layer.

    Raises
    ------
    CheckpointError, CommandError
        If it is not JSON, or no report of pruning.
    """
    report = read_json_file(path, _EXPECTED)
    if not isinstance(report, dict) or report.get("command") != "prune":
        raise CommandError(f"{path} is not a report of pruning; {_EXPECTED}")
    layers, total = report.get("layers"), report.get("total")
    if not isinstance(layers, list) or not layers:
        raise CommandError(f"{path} is not a report of pruning: it has no layers; {_EXPECTED}")
    kinds = set(_retained(total, path)) | set(RETAINED_KINDS)
    checked = [{"name": _text(one, "name", path), "retained": _retained(one, path)}
               for one in layers]  # fmt: skip
    for layer in (*checked, {"name": "total", "retained": _retained(total, path)}):
        missing = kinds - set(layer["retained"])
        if missing:
            raise CommandError(
                f"{path} is not a report of pruning: {layer['name']} has no figure for "
                f"{min(missing)}; {_EXPECTED}"
            )
    pattern = parse_pattern(_text(report, "pattern", path), f"the pattern in {path}")
    return {
        "pattern": str(pattern),
        "score": _text({"score": "abs", **report}, "score", path),
        "layers": checked,
        "total": {"retained": _retained(total, path)},
    }


def drawable(name: str) -> str:
    """Make text of strangers harmless for matplotlib, which reads formulas between dollars."""
    return printable(name).replace("$", r"\$")


def _retained(layer: Any, path: Path) -> dict[str, float]:
    retained = layer.get("retained") if isinstance(layer, dict) else None
    if not isinstance(retained, dict) or any(
        type(share) not in (int, float) for share in retained.values()
    ):
        raise CommandError(
            f"{path} is not a report of pruning: what is retained is not given in numbers; "
            f"{_EXPECTED}"
        )
    return retained


def _text(fields: Any, key: str, path: Path) -> str:
    text = fields[key] if isinstance(fields, dict) and key in fields else None
    if not isinstance(text, str):
        raise CommandError(f"{path} is not a report of pruning: {key} is no text; {_EXPECTED}")
    return drawable(text)
