"""What is said of checkpoints with quantised weights, which pruning leaves as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

_LARGEST_CONFIG = 1 << 24
ADVICE = "prune the checkpoint as it was before it was quantised"


def quantized_text(quantized: Mapping[str, int], source: str | Path) -> str:
    """Say which weights of a checkpoint are quantised, and how."""
    schemes = ", ".join(f"{count} by {scheme}" for scheme, count in quantized.items())
    return f"{source} holds quantised weights ({schemes})"


def quantization_notes(quantized: Mapping[str, int], source: Path) -> list[str]:
    """Say what a user should know before a checkpoint with quantised weights is pruned."""
    if quantized:
        told = quantized_text(quantized, source)
        return [f"{told}, which are left as they are; to prune them, {ADVICE}"]
    method = _method_in_config(source)
    if method is None:
        return []
    return [
        f"config.json in {source} speaks of quantisation ({method}), but no quantised weight was "
        f"recognised; if what is pruned should not be, {ADVICE}"
    ]


def _method_in_config(folder: Path) -> str | None:
    """Read by what the model in a directory is quantised, as its configuration has it."""
    path = folder / "config.json"
    if not path.is_file() or path.stat().st_size > _LARGEST_CONFIG:
        return None
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    told = config.get("quantization_config") if isinstance(config, dict) else None
    return str(told.get("quant_method", "unnamed")) if isinstance(told, dict) else None
