"""The page of all commands, written from what ``--help`` says when the site is built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

PAGE = "commands.md"
MARKER = "<!-- commands -->"
_WIDE = 100_000  # columns: nothing is wrapped


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Put the help of every command in the place of the marker."""
    if page.file.src_uri != PAGE:
        return markdown
    if MARKER not in markdown:
        raise ValueError(f"{PAGE} has no {MARKER}")
    return markdown.replace(MARKER, command_reference())


def command_reference() -> str:
    """Describe every command in Markdown."""
    return "\n\n".join(f"## {name}\n\n{_markdown(text)}" for name, text in help_texts().items())


def help_texts() -> dict[str, str]:
    """Collect what ``--help`` says, by the full name of the command."""
    import typer

    from tnm_core.cli.app import app

    return dict(_help_texts(typer.main.get_command(app), "tnm", None))


def _help_texts(command: Any, word: str, parent: Any) -> Iterator[tuple[str, str]]:
    context = command.context_class(
        command,
        parent=parent,
        info_name=word,
        terminal_width=_WIDE,
        max_content_width=_WIDE,
        **command.context_settings,
    )
    yield context.command_path, command.get_help(context)
    for name, subcommand in getattr(command, "commands", {}).items():
        yield from _help_texts(subcommand, name, context)


def _markdown(text: str) -> str:
    """Turn the text of a help page into Markdown: usage, prose, tables, an example."""
    blocks = re.split(r"\n(?=\S|  Example:)", text)
    return "\n\n".join(_block(block) for block in blocks)


def _block(block: str) -> str:
    title, _, rest = block.strip().partition("\n")
    if title == "Example:":
        lines = [line.removeprefix("    ") for line in rest.splitlines()]
        return "\n".join(["```bash", *lines, "```"])
    if title.startswith("Usage: "):
        usage = re.sub(r"\{([A-Z:]+)\}", r"\1", title.removeprefix("Usage: "))
        return f"```text\n{usage}\n```\n\n{_prose(rest)}"
    rows = [_row(line) for line in _entries(rest)]
    return "\n".join([f"| {title.rstrip(':')} | |", "|---|---|", *rows])


def _prose(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


def _entries(text: str) -> list[str]:
    """Join what a long name pushed to a line of its own."""
    return re.sub(r"\n {10,}", "  ", text).splitlines()


def _row(line: str) -> str:
    name, _, told = line.strip().replace("|", "\\|").partition("  ")
    safe = told.strip().replace("<", "&lt;").replace("*", "\\*")
    return f"| `{name}` | {safe} |"
