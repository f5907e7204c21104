"""Tables of what was measured, and what follows for larger checkpoints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bench.tables import markdown, number

_BEGIN, _END = "<!-- measured -->", "<!-- end of measured -->"
STORAGE = (0.2, 1.0, 5.0, 20.0)  # GB/s that a file system reads, while it writes as much
LARGE = 1000.0  # GB
QUIET = 0.95  # of a core, below which others were at work


def tables(results: dict[str, Any]) -> str:
    """Say what was measured on what, and what it takes for a terabyte."""
    gigabytes = results["bytes"] / 1e9
    same = "the same in every byte of every tensor" if results["same"] else "NOT THE SAME"
    facts = results["machine"]
    busy = " that others used as well" if results["processor_share"] < QUIET else ""
    told = (
        f"A generated checkpoint of {gigabytes:.1f} GB, bfloat16, pruned to {results['pattern']} "
        f"on {results['date']} ({facts['cpu']}, {facts['cores']} cores{busy}: what counts are CPU "
        f"seconds). All outputs are {same}."
    )
    parts = [_measured(results, gigabytes), _plan_text(results, gigabytes), _remarks(results)]
    return "\n\n".join([told, *parts])


def page_with(text: str, results: dict[str, Any]) -> str:
    """Put the tables between their marks; `ValueError` if there are none."""
    pattern = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    replaced, count = pattern.subn(
        lambda _: f"{_BEGIN}\n\n{tables(results).strip()}\n\n{_END}", text
    )
    if count != 1:
        raise ValueError(f"there are {count} places for what was measured, expected one")
    return replaced


def _measured(results: dict[str, Any], gigabytes: float) -> str:
    rows = [
        [
            name,
            f"{run['cpu']:.0f}",
            number(run["cpu"] / gigabytes),
            f"{run['seconds']:.0f}",
            " + ".join(f"{peak}" for peak in run["peaks"]),
        ]
        for name, run in results["runs"].items()
    ]
    header = ["way", "CPU s", "CPU s per GB", "s", "peak of each process, MiB"]
    return markdown(header, rows).strip()


def unit_costs(results: dict[str, Any]) -> tuple[float, float]:
    """CPU seconds per GB of the workers, and of the process that hands out tasks.

    What it takes to start them is not counted: it is the same for a terabyte.
    """
    run, start = (results["runs"][name] for name in ("two workers", "start of two workers"))
    gigabytes = results["bytes"] / 1e9
    client = max(run["cpu_of_first"] - start["cpu_of_first"], 0.0)
    return (run["cpu"] - start["cpu"] - client) / gigabytes, client / gigabytes


def plan(worker: float, client: float, storage: Sequence[float] = STORAGE) -> list[list[str]]:
    """Say, for speeds of storage, how many workers exhaust it, and how long a terabyte takes.

    A worker reads and writes a GB in its CPU seconds per GB, if storage keeps up; the client has
    to keep up as well.
    """
    rows = []
    for speed in storage:
        reached = min(speed, 1 / client) if client > 0 else speed
        workers = max(1, round(reached * worker))
        minutes = LARGE / reached / 60
        rows.append([f"{speed:g}", f"{workers}", f"{reached * client:.1%}", f"{minutes:.2g}"])
    return rows


def _plan_text(results: dict[str, Any], gigabytes: float) -> str:
    worker, client = unit_costs(results)
    alone = LARGE * results["runs"]["one process"]["cpu"] / gigabytes / 3600
    told = (
        f"A worker takes {number(worker)} CPU seconds per GB, the process that hands out tasks "
        f"{number(client)}. A terabyte takes one process {alone:.2g} hours; workers, one for each "
        "core, until the file system reads and writes no faster:"
    )
    header = ["GB/s read, and as much written", "workers", "busy client", "minutes for 1 TB"]
    table = markdown(header, plan(worker, client)).strip()
    return f"{told}\n\n{table}"


def _remarks(results: dict[str, Any]) -> str:
    """What else the figures say, as a list."""
    runs, (_, client) = results["runs"], unit_costs(results)
    pool, dask = runs["two workers"], runs.get("two workers of Dask")
    needs = f"needs {pool['peaks'][0]} MiB"
    lines = []
    if dask is not None:
        more = max(dask["cpu"] - pool["cpu"], 0.0) / dask["seconds"]
        lines.append(f"Dask's own processes took {more:.2f} of a core, all through the run.")
        needs += f", with a scheduler of Dask in it {dask['peaks'][0]}"
    lines.append(f"The process that hands out tasks, the first of those in a row, {needs}.")
    if client > 0:
        speed = number(1 / client)
        lines.append(f"From {speed} GB/s on it would be busy itself: more workers would wait.")
    return "\n".join(f"* {line}" for line in lines)
