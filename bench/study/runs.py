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
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed, wait
from contextlib import closing
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Variant = TypeVar("Variant", bound="DataclassInstance")

Result = dict[str, Any]
Announce = Callable[[Result, int, int], None]


class Results(Generic[Variant]):
    """The results of a file.

    Parameters
    ----------
    path : pathlib.Path
        A JSON file; it need not exist.
    kind : type
        The dataclass of what is run; a result holds its fields and "seed".

    Raises
    ------
    ValueError
        If the file holds something else.
    """

    def __init__(self, path: Path, kind: type[Variant]) -> None:
        self.path = path
        self._key = (*(field.name for field in fields(kind)), "seed")
        try:
            self.found: list[Result] = json.loads(path.read_text()) if path.exists() else []
            self._known = {self._key_of(one) for one in self.found}
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path} does not hold results of this study ({type(error).__name__}: {error}); "
                "move it away, or choose another folder"
            ) from None

    def __contains__(self, run: tuple[Variant, int]) -> bool:
        variant, seed = run
        return (*astuple(variant), seed) in self._known

    def _key_of(self, result: Result) -> tuple[Any, ...]:
        return tuple(result[name] for name in self._key)

    def add(self, result: Result) -> None:
        """Keep a result; the file is whole at any time."""
        self.found.append(result)
        self._known.add(self._key_of(result))
        beside = self.path.with_suffix(".part")
        beside.write_text(json.dumps(self.found, indent=1))
        beside.replace(self.path)


def complete(
    results: Results[Variant],
    wanted: Sequence[tuple[Variant, int]],
    run: Callable[[Variant, int], Result],
    workers: int,
    announce: Announce | None = None,
) -> None:
    """Run what is wanted and not in the results yet; with 0 workers in this process."""
    missing = [one for one in wanted if one not in results]
    outcomes = _in_processes(missing, run, workers) if workers else (run(*one) for one in missing)
    with closing(outcomes):
        for done, result in enumerate(outcomes, 1):
            results.add(result)
            if announce is not None:
                announce(result, done, len(missing))


def _in_processes(
    missing: Sequence[tuple[Variant, int]], run: Callable[[Variant, int], Result], workers: int
) -> Generator[Result]:
    """Yield results as they come, each from a process of its own, so that its peak is its own."""
    threads = ThreadPoolExecutor(workers)
    futures = [threads.submit(_in_own_process, run, *one) for one in missing]
    try:
        for future in as_completed(futures):
            yield future.result()
    except BaseException:
        threads.shutdown(wait=False, cancel_futures=True)
        while not all(future.done() for future in futures):
            for worker in multiprocessing.active_children():
                worker.kill()
            wait(futures, timeout=0.1)
        raise
    finally:
        threads.shutdown()


def _in_own_process(run: Callable[[Variant, int], Result], variant: Variant, seed: int) -> Result:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_follow_parent) as pool:
        return pool.submit(run, variant, seed).result()


def _follow_parent() -> None:
    """Leave Ctrl-C to the main process, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
