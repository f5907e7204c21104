"""Where text goes: tables to stdout, notes to stderr, JSON to stdout alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from tnm_core.build_info import __version__
from tnm_core.cli.errors import one_line

# A file or a pipe has no width: lines are as long as they have to be, and grep finds whole names.
UNLIMITED = 1 << 20
_LEAST_WIDTH = 20


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave the exit status to `run`; rich would make it that of a failed check."""
        raise BrokenPipeError


def stdout_console() -> Console:
    """Make a console on stdout: as wide as COLUMNS says, else as the terminal, else unlimited."""
    console = _Console(highlight=False)
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and int(told[:7]) > 0:
        console.width = max(_LEAST_WIDTH, int(told[:7]))
    elif console.is_terminal:
        console.width = max(_LEAST_WIDTH, console.width)
    else:
        console.width = UNLIMITED
    return console


def report_head(command: str) -> dict[str, Any]:
    """Begin the report of a command for machines."""
    return {"tool": "tnm", "version": __version__, "command": command}


def print_json(report: Mapping[str, Any]) -> None:
    """Print a report on stdout."""
    print(json_text(report))


def note(text: str) -> None:
    """Tell something on stderr that is no error."""
    print(f"tnm: note: {one_line(text)}", file=sys.stderr)


def json_text(report: Mapping[str, Any]) -> str:
    """Write a report as strict JSON, ASCII alone, so that any locale can print it."""
    return json.dumps(report, indent=2, allow_nan=False)
