"""The console script ``tnm``: from its first moment on, Ctrl-C ends it with one line.

A package of its own, for what lies in `tnm_core` runs only when NumPy and the core are imported,
which takes long enough to be interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Import the command line and run it."""
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:  # an exception could be lost in the middle of an import
        signal.signal(signal.SIGINT, _stop)
    from tnm_core.cli import prepare

    run = prepare()
    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


def _stop(number: int, frame: FrameType | None) -> None:
    os.write(2, b"tnm: interrupted; nothing was begun\n")
    os._exit(128 + number)
