"""Checkpoints that commands read."""

from __future__ import annotations

from pathlib import Path

from tnm_core.checkpoint import Checkpoint, open_checkpoint
from tnm_core.cli.console import note


def open_input(path: Path) -> Checkpoint:
    """Open a checkpoint, and tell on stderr what is not obvious of how it was read."""
    checkpoint = open_checkpoint(path)
    for told in checkpoint.notes:
        note(told)
    return checkpoint
