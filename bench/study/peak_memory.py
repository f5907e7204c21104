"""The most memory that this process has held since some moment."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak() -> None:
    """Let what counts begin now; Linux alone can do so."""
    with suppress(OSError):
        _RESET.write_text("5")


def peak_mebibytes() -> float | None:
    """Return the most that was resident since then, the model included; None if not on Linux."""
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return None
