"""Runs in several processes, kept in a file after each, so that a study goes on where it was left.

Ctrl-C stops at once; so does the end of the main process, however it comes.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import astuple
from pathlib import Path
from typing import Any

from bench.study.variants import Variant

Result = dict[str, Any]
Run = Callable[[Variant, int], Result]
Wanted = Sequence[tuple[Variant, int]]
Announce = Callable[[Result, int, int], None]

KEY = ("pattern", "recipe", "method", "samples", "seed")


class Results:
    """The results of a file.

    Raises
    ------
    ValueError
        If the file holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.found: list[Result] = json.loads(path.read_text()) if path.exists() else []
            self._known = {tuple(one[name] for name in KEY) for one in self.found}
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path} does not hold results of this study ({type(error).__name__}: {error}); "
                "move it away, or choose another folder"
            ) from None

    def __contains__(self, run: tuple[Variant, int]) -> bool:
        variant, seed = run
        return (*astuple(variant), seed) in self._known

    def add(self, result: Result) -> None:
        """Keep a result; the file is whole at any time."""
        self.found.append(result)
        self._known.add(tuple(result[name] for name in KEY))
        beside = self.path.with_suffix(".part")
        beside.write_text(json.dumps(self.found, indent=1))
        beside.replace(self.path)


def complete(
    results: Results, wanted: Wanted, run: Run, workers: int, announce: Announce | None = None
) -> None:
    """Run what is wanted and not in the results yet; with 0 workers in this process."""
    missing = [one for one in wanted if one not in results]
    outcomes = _in_processes(missing, run, workers) if workers else (run(*one) for one in missing)
    with closing(outcomes):
        for done, result in enumerate(outcomes, 1):
            results.add(result)
            if announce is not None:
                announce(result, done, len(missing))


def _in_processes(missing: Wanted, run: Run, workers: int) -> Generator[Result]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_follow_parent)
    try:
        for future in as_completed([pool.submit(run, variant, seed) for variant, seed in missing]):
            yield future.result()
    except BaseException:
        for worker in multiprocessing.active_children():
            worker.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
    """Leave Ctrl-C to the main process, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
