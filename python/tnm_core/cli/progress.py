"""What a long run is at, on stderr: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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

from tnm_core.cli.errors import one_line, printable
from tnm_core.cli.shortening import shorten

# Without a terminal: a line for each tenth, not more often than the first of these, and in any
# case after the second.
_LEAST_SECONDS = 10.0
_MOST_SECONDS = 60.0
_TENTHS = 10
_NAME_WIDTH = 36

Clock = Callable[[], float]


class ProgressLines:
    """Progress where there is no bar: lines on stderr, few enough for a log file.

    A phase is said when it begins, but for the first one: what was asked for goes without saying.
    The share that is done is said for each tenth of the whole, if ten seconds have passed since the
    last line; and after a minute in any case. Runs of a moment say nothing.

    Parameters
    ----------
    clock : callable
        Returns seconds; only their differences matter.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._began = self._said = clock()
        self._share = 0.0
        self._phases = 0

    def phase(self, title: str) -> None:
        """Tell that something begins whose length is unknown."""
        self._share = 0.0
        self._phases += 1
        if self._phases > 1:
            self._say(title)

    def share(self, share: float, told: str) -> None:
        """Tell how much is done, from 0 to 1, and of what."""
        waited = self._clock() - self._said
        passed = int(share * _TENTHS) > int(self._share * _TENTHS)
        if waited >= _MOST_SECONDS or (passed and waited >= _LEAST_SECONDS):
            self._share = share
            self._say(told)

    def _say(self, told: str) -> None:
        self._said = self._clock()
        passed = _minutes(self._said - self._began)
        print(f"tnm: {passed} {one_line(told)}", file=sys.stderr, flush=True)


class LayerProgress:
    """Shows what a long run is at: a phase whose length is unknown, or a layer of so many."""

    def phase(self, title: str) -> None:
        """Begin a phase of unknown length."""
        raise NotImplementedError

    def layer(
        self, name: str, done: int, total: int, doing: str = "", left: float | None = None
    ) -> None:
        """Tell that a layer is done, the first so many of all; with a word before its name.

        `left` is about how many seconds the others will take, where that is known.
        """
        raise NotImplementedError

    def step(self, told: str, done: int, total: int, left: float) -> None:
        """Tell that a step is done, the first so many of all; `left` as for layers."""
        raise NotImplementedError


class LayerBar(LayerProgress):
    """A bar on a terminal."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def phase(self, title: str) -> None:
        """Begin a phase."""
        self._bar.remove_task(self._task)  # a total that was known cannot be forgotten
        self._task = self._bar.add_task("", total=None, layer=title)

    def layer(
        self, name: str, done: int, total: int, doing: str = "", left: float | None = None
    ) -> None:
        """Tell that a layer is done; the bar has its own view of the time left."""
        told = f"{doing} {_shown(name)}".lstrip()
        self._bar.update(self._task, total=total, completed=done, layer=told)

    def step(self, told: str, done: int, total: int, left: float) -> None:
        """Tell that a step is done."""
        self._bar.update(self._task, total=total, completed=done, layer=told)


class LayerLines(LayerProgress):
    """Lines elsewhere."""

    def __init__(self, lines: ProgressLines) -> None:
        self._lines = lines

    def phase(self, title: str) -> None:
        """Begin a phase."""
        self._lines.phase(title)

    def layer(
        self, name: str, done: int, total: int, doing: str = "", left: float | None = None
    ) -> None:
        """Tell that a layer is done."""
        told = f"{doing} {printable(name)}".lstrip()
        if left is not None and done < total:
            told = f"{told}, about {_minutes(left)} left"
        self._lines.share(done / max(total, 1), f"{done} of {total} layers, {told}")

    def step(self, told: str, done: int, total: int, left: float) -> None:
        """Tell that a step is done."""
        what = f"{done} of {total} steps, {told}, about {_minutes(left)} left"
        self._lines.share(done / max(total, 1), what)


class _Throughput(ProgressColumn):
    """A column of million entries per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        text = "-" if speed is None else f"{speed / 1e6:,.1f}"
        return Text(f"{text} M entries/s", style="progress.data.speed")


@contextmanager
def progress_bar(total: int, clock: Clock = time.monotonic) -> Iterator[Callable[[str, int], None]]:
    """Show how many entries of how many are done; yields ``advance(layer, entries)``."""
    console = _terminal()
    if console is None:
        yield _advance_lines(total, ProgressLines(clock))
        return
    layer_column = TextColumn("{task.fields[layer]}", markup=False)
    columns = (BarColumn(), TaskProgressColumn(), _Throughput(), TimeRemainingColumn())
    with _bar(console, layer_column, *columns) as bar:
        task = bar.add_task("prune", total=total, layer="")
        yield lambda layer, entries: bar.update(task, advance=entries, layer=_shown(layer))


@contextmanager
def share_bar(title: str, clock: Clock = time.monotonic) -> Iterator[Callable[[float], None]]:
    """Show the share that is done; yields ``update(share)``."""
    console = _terminal()
    if console is None:
        lines = ProgressLines(clock)
        yield lambda share: lines.share(share, f"{share:.0%} of {title}")
        return
    title_column = TextColumn("{task.description}", markup=False)
    percentage = TaskProgressColumn("{task.percentage:>5.1f} %")
    with _bar(console, title_column, BarColumn(), percentage, TimeRemainingColumn()) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share: bar.update(task, completed=share)


@contextmanager
def layer_bar(clock: Clock = time.monotonic) -> Iterator[LayerProgress]:
    """Show phases, and layers that are done."""
    console = _terminal()
    if console is None:
        yield LayerLines(ProgressLines(clock))
        return
    layer_column = TextColumn("{task.fields[layer]}", markup=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with _bar(console, layer_column, *columns) as bar:
        yield LayerBar(bar, bar.add_task("", total=None, layer=""))


def _terminal() -> Console | None:
    """Return a console on stderr if that is a terminal."""
    console = Console(stderr=True)
    return console if console.is_terminal and sys.stderr.isatty() else None


def _bar(console: Console, *columns: ProgressColumn) -> Progress:
    return Progress(*columns, console=console, transient=True)


def _advance_lines(total: int, lines: ProgressLines) -> Callable[[str, int], None]:
    done = 0

    def advance(layer: str, entries: int) -> None:
        nonlocal done
        done += entries
        share = done / max(total, 1)
        lines.share(share, f"{share:.0%} of {total:,} entries, {printable(layer)}")

    return advance


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def _shown(name: str) -> str:
    return shorten(printable(name), _NAME_WIDTH)
