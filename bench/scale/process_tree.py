"""A command, the processes that it starts, and what each of them takes; asks Linux's /proc."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_EVERY = 0.5  # seconds
_TICKS = os.sysconf("SC_CLK_TCK")
_LEAST_MIB = 24  # what Python's own helpers, such as the tracker of resources, stay below


@dataclass(frozen=True)
class TreeUse:
    """What a command took: wall and CPU seconds of all processes, and by process.

    ``peaks`` are MiB of resident memory, those of the first process first, ``cpu_of_first`` its
    CPU seconds as they were at the last look.
    """

    seconds: float
    cpu: float
    peaks: list[int]
    cpu_of_first: float


@dataclass
class _Seen:
    peak: int = 0
    cpu: float = 0.0


@dataclass
class _Tree:
    first: int
    seen: dict[int, _Seen] = field(default_factory=dict)

    def look(self) -> None:
        for pid in _descendants(self.first):
            one = self.seen.setdefault(pid, _Seen())
            one.peak = max(one.peak, _peak_mib(pid))
            one.cpu = max(one.cpu, _cpu_seconds(pid))


def run_measured(command: Sequence[str], environment: dict[str, str]) -> TreeUse:
    """Run a command to its end; `CalledProcessError` if it fails."""
    began, before = time.perf_counter(), os.times()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env={**os.environ, **environment}
    ) as process:
        tree = _Tree(process.pid)
        while process.poll() is None:
            tree.look()
            time.sleep(_EVERY)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    after = os.times()
    cpu = (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )
    first = tree.seen.pop(process.pid, _Seen())
    others = sorted((one.peak for one in tree.seen.values()), reverse=True)
    peaks = [first.peak, *(peak for peak in others if peak >= _LEAST_MIB)]
    return TreeUse(time.perf_counter() - began, cpu, peaks, first.cpu)


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    try:
        threads = [*Path(f"/proc/{pid}/task").iterdir()]
        children = [int(one) for thread in threads for one in _read(thread / "children").split()]
    except OSError:  # which has ended meanwhile
        return
    for child in children:
        yield from _descendants(child)


def _peak_mib(pid: int) -> int:
    lines = _read(Path(f"/proc/{pid}/status")).splitlines()
    return next((int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM")), 0)


def _cpu_seconds(pid: int) -> float:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
