"""Options that several commands share, and their parsing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tnm_core.cli.errors import CommandError

MAX_M = 128


@dataclass(frozen=True)
class Pattern:
    """``n`` of ``m`` are kept."""

    n: int
    m: int

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"


def parse_pattern(text: str, source: str = "--pattern") -> Pattern:
    """Read ``n:m``; ``source`` says where it came from."""
    match = re.fullmatch(r"([0-9]{1,4}):([0-9]{1,4})", text.strip())
    if match is not None:
        pattern = Pattern(int(match[1]), int(match[2]))
        if 1 <= pattern.n <= pattern.m <= MAX_M:
            return pattern
    raise CommandError(
        f"{source} is {text!r}; expected n:m with 1 <= n <= m <= {MAX_M} (n of m are kept), "
        "for example 2:4"
    )


Checkpoint = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help=".safetensors, *.safetensors.index.json, a folder with one of them, .npy or .npz.",
        show_default=False,
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        metavar="GLOB",
        help="Only tensors whose name matches; may be repeated. Lifts the default exclusions.",
        show_default=False,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="GLOB",
        help="Not tensors whose name matches; may be repeated.",
        show_default=False,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print a report for machines, and nothing else, on stdout.")
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads; all processors if not given."),
]
