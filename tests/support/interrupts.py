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
    return _stopped("started", [script], signal.SIGINT, timeout, delay=0.3)


def stop_half_way(script: str, number: signal.Signals, *arguments: object) -> Interrupted:
    """Send a signal once a script with arguments has printed "half-way"."""
    return _stopped("half-way", [script, *map(str, arguments)], number, timeout=60)


def _stopped(
    line: str, command: list[str], number: signal.Signals, timeout: float, delay: float = 0.0
) -> Interrupted:
    process = subprocess.Popen(
        [sys.executable, "-c", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{line}\n"
        time.sleep(delay)
        process.send_signal(number)
        output, errors = process.communicate(timeout=timeout)
    finally:
        process.kill()
        process.communicate()
    return Interrupted(output, errors, process.returncode)
