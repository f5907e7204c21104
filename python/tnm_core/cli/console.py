"""Where text goes: tables to stdout, progress to stderr, JSON to stdout alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tnm_core.build_info import __version__
from tnm_core.cli.errors import one_line, printable

_PLAIN_WIDTH = 160  # a file or a pipe has no width, and names of layers are long


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave the exit status to `run`; rich would make it that of a failed check."""
        raise BrokenPipeError


def stdout_console() -> Console:
    """Make a console on stdout; without a terminal, wide enough not to break names."""
    console = _Console(highlight=False)
    if not console.is_terminal:
        console = _Console(highlight=False, width=_PLAIN_WIDTH)
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


class _Throughput(ProgressColumn):
    """A column of million entries per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        text = "-" if speed is None else f"{speed / 1e6:,.1f}"
        return Text(f"{text} M entries/s", style="progress.data.speed")


def _stderr_bar(*columns: ProgressColumn) -> Progress:
    """Make a bar on stderr that shows only if that is a terminal."""
    console = Console(stderr=True)
    visible = console.is_terminal and sys.stderr.isatty()
    return Progress(*columns, console=console, transient=True, disable=not visible)


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[str, int], None]]:
    """Show progress on stderr, if that is a terminal; yields ``advance(layer, entries)``."""
    layer_column = TextColumn("{task.fields[layer]}", markup=False)
    columns = (BarColumn(), TaskProgressColumn(), _Throughput(), TimeRemainingColumn())
    with _stderr_bar(layer_column, *columns) as bar:
        task = bar.add_task("prune", total=total, layer="")

        def advance(layer: str, entries: int) -> None:
            bar.update(task, advance=entries, layer=_shorten(layer))

        yield advance


@contextmanager
def share_bar(title: str) -> Iterator[Callable[[float], None]]:
    """Show the share that is done on stderr, if that is a terminal; yields ``update(share)``."""
    title_column = TextColumn("{task.description}", markup=False)
    percentage = TaskProgressColumn("{task.percentage:>5.1f} %")
    with _stderr_bar(title_column, BarColumn(), percentage, TimeRemainingColumn()) as bar:
        task = bar.add_task(title, total=1.0)

        def update(share: float) -> None:
            bar.update(task, completed=share)

        yield update


class LayerProgress:
    """Shows what a long run is at: a phase whose length is unknown, or a layer of so many."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def phase(self, title: str) -> None:
        """Begin a phase of unknown length."""
        self._bar.reset(self._task, total=None, layer=title)

    def layer(self, name: str, done: int, total: int, doing: str = "") -> None:
        """Tell that a layer is done, the first so many of all; with a word before its name."""
        told = f"{doing} {_shorten(name)}".lstrip()
        self._bar.update(self._task, total=total, completed=done, layer=told)


@contextmanager
def layer_bar() -> Iterator[LayerProgress]:
    """Show layers that are done on stderr, if that is a terminal."""
    layer_column = TextColumn("{task.fields[layer]}", markup=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with _stderr_bar(layer_column, *columns) as bar:
        yield LayerProgress(bar, bar.add_task("", total=None, layer=""))


def _shorten(name: str, width: int = 36) -> str:
    name = printable(name)
    return name if len(name) <= width else "..." + name[3 - width :]
