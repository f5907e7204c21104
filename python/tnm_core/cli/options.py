"""Options that several commands share, and their parsing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from tnm_core.cli.errors import CommandError
from tnm_core.pattern import LARGEST_M, Pattern, as_pattern

PATTERN_FORMS = "N of M are kept, like 2:4; or along rows alone, like 'row 2:4'."

_Text = TypeVar("_Text", bound=str)


def parse_pattern(text: str, source: str = "--pattern") -> Pattern:
    """Read a pattern as the API does; ``source`` says where it came from."""
    try:
        return as_pattern(text)
    except ValueError:
        raise CommandError(
            f"{source} is {text!r}; expected n:m with 1 <= n <= m <= {LARGEST_M} (n of m are "
            "kept), such as 2:4, or row-wise 'row 2:4'"
        ) from None


def parse_choice(text: str, choices: Sequence[_Text], option: str) -> _Text:
    """Check that a text is one of several."""
    for choice in choices:
        if text == choice:
            return choice
    raise CommandError(f"{option} is {text!r}; expected one of {', '.join(choices)}")


def parse_memory(text: str) -> int:
    """Read a size such as 512M or 2G, in bytes; K, M and G are powers of 1024."""
    form = r"(\d{1,9}(?:\.\d{1,9})?)\s*([KMGT]?)(?:i?B)?"
    match = re.fullmatch(form, text.strip(), re.IGNORECASE)
    if match is None:
        raise CommandError(f"--memory is {text!r}; expected a size such as 512M or 2G")
    power = " KMGT".index(match[2].upper() or " ")
    return int(float(match[1]) * 1024**power)


def refuse_given(options: Mapping[str, object], purpose: str, instead: str) -> None:
    """Raise `CommandError` if options are given, which are for something else than there is."""
    given = [option for option, value in options.items() if value is not None]
    if given:
        verb, them = ("is", "it") if len(given) == 1 else ("are", "them")
        raise CommandError(
            f"{' and '.join(given)} {verb} for {purpose}, and {instead}; leave {them} out"
        )


def metavar(choices: Sequence[str]) -> str:
    """Spell choices for the help."""
    return f"[{'|'.join(choices)}]"


Checkpoint = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help=".safetensors, *.safetensors.index.json, a folder with one of them, .npy or .npz; or "
        "a state dict of torch: .pt, .pth, .bin, *.bin.index.json.",
    ),
]
FilePattern = Annotated[
    str | None,
    typer.Option(
        "--pattern",
        "-p",
        metavar="N:M",
        help=f"{PATTERN_FORMS} Read from the metadata if not given.",
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help="Only tensors whose name matches; may be repeated. Lifts the default exclusions.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Not tensors whose name matches; may be repeated."),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print a report for machines, and nothing else, on stdout.")
]
Reports = Annotated[
    list[Path] | None,
    typer.Option(
        "--report",
        metavar="PATH",
        help="Also write the report to a file: .json for machines, .html a page for people; may be "
        "repeated.",
    ),
]
Threads = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Threads; all processors if not given.")
]
