"""The includes of the C++ sources, read as text, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)
_STANDARD = re.compile(r"\bstd::(\w+)")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Include:
    """`target` is a path as it is written; `is_system`: in angle brackets."""

    source: str
    line: int
    target: str
    is_system: bool

    def __str__(self) -> str:
        return f"{self.source}:{self.line} includes {self.target}"


def read_includes(roots: Sequence[Path]) -> list[Include]:
    """Every include of every file below the roots, which are what paths are relative to."""
    found = []
    for root in roots:
        for path in sorted([*root.rglob("*.hpp"), *root.rglob("*.cpp")]):
            text = path.read_text()
            for match in _INCLUDE.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                source = path.relative_to(root).as_posix()
                found.append(Include(source, line, match[1] or match[2], match[1] is None))
    return found


def upward(includes: Sequence[Include], floors: Sequence[str]) -> list[str]:
    """Includes of what lies on a higher floor; `floors` are folders, lowest first."""
    told = []
    for one in includes:
        if one.is_system:
            continue
        source, target = _floor(one.source, floors), _floor(one.target, floors)
        if source is None:
            told.append(f"{one.source} lies on no floor")
        elif target is None:
            told.append(f"{one}, which lies on no floor")
        elif target > source:
            told.append(f"{one}, which lies above it")
    return told


def _floor(path: str, floors: Sequence[str]) -> int | None:
    fitting = [one for one in floors if path == one or path.startswith(one + "/")]
    return floors.index(max(fitting, key=len)) if fitting else None


def standard_templates(
    root: Path, includes: Sequence[Include], headers: set[str], names: set[str]
) -> list[str]:
    """What files under ``kernels/`` take from the standard library beyond plain C.

    The linker may pick any one copy of an inline function of the standard library: one that was
    compiled for a wider instruction set must not be there.
    """
    told = [
        f"{one}, expected one of {', '.join(sorted(headers))}"
        for one in includes
        if _is_kernel(one.source) and one.is_system and one.target not in headers
    ]
    for path in sorted([*root.rglob("*.hpp"), *root.rglob("*.cpp")]):
        source = path.relative_to(root).as_posix()
        if _is_kernel(source):
            used = set(_STANDARD.findall(_COMMENT.sub("", path.read_text()))) - names
            told += [f"{source} uses std::{name}" for name in sorted(used)]
    return told


def _is_kernel(source: str) -> bool:
    return "kernels" in source.split("/")[:-1]
