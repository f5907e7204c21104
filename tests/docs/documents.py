"""The documents for users, and what stands in their blocks of code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / ".github").glob("*.md")),
    *sorted((ROOT / "docs").glob("**/*.md")),
]
SHELL = ("bash", "console", "sh", "shell")
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: where it begins, in which language, what it holds."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks(*languages: str, documents: list[Path] = DOCUMENTS) -> list[Block]:
    """Collect the blocks of some languages, in order."""
    found = []
    for document in documents:
        content = document.read_text()
        for match in _FENCE.finditer(content):
            line = content.count("\n", 0, match.start()) + 1
            name = str(document.relative_to(ROOT))
            found.append(Block(name, line, match[2], match[3]))
    return [block for block in found if block.language in languages]


def shell_lines(block: Block) -> list[str]:
    """List the commands of a shell block, continued lines joined; without what they print."""
    lines = [line.strip() for line in block.text.replace("\\\n", " ").splitlines()]
    if any(line.startswith("$ ") for line in lines):
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [line for line in lines if line and not line.startswith("#")]


def words_of(line: str) -> list[str]:
    """Split a command as a shell does: quotes resolved, comments and `NAME=value` in front gone."""
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words = words[1:]
    return words


def commands(program: str) -> list[tuple[Block, list[str]]]:
    """Collect the calls of a program in all shell blocks, split into words."""
    found = []
    for block in blocks(*SHELL):
        for line in shell_lines(block):
            for part in re.split(r"\s(?:&&|\|)\s", line):
                words = words_of(part)
                if words[:1] == [program]:
                    found.append((block, words))
    return found
