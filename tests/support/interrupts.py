"""Interrupting a program in the middle of a call."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import NamedTuple


class Interrupted(NamedTuple):
    output: str
    errors: str
    returncode: int


def interrupt(script: str, timeout: float) -> Interrupted:
    """Send SIGINT shortly after the script has printed "started"; what it does from then on."""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=timeout)
    finally:
        process.kill()
        process.communicate()
    return Interrupted(output, errors, process.returncode)
