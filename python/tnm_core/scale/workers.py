"""Tasks to results on any executor: a few in flight, and run again where a worker died."""

from __future__ import annotations

import os
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from tnm_core.arguments import as_integer
from tnm_core.build_info import __version__
from tnm_core.scale.errors import WorkersError, WorkersWarning

_MOST_DEATHS = 3  # of workers, for one task
_PATIENCE = 30.0  # seconds without a result, after which it is asked whether there are workers
_COUNTED_EVERY = 10.0  # seconds; clusters grow and shrink

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def warn_of_workers(message: str) -> None:
    """Tell by a warning."""
    warnings.warn(WorkersWarning(message), stacklevel=3)


class Workers:
    """Runs a function on many tasks, here or by the workers of an executor.

    Used as a context manager, or closed. Tasks, function and results must be picklable if workers
    are other processes. Every worker must have this version of tnm_core.

    Parameters
    ----------
    executor : Executor, function that makes one, or None
        Where tasks run: in this thread if None. An executor stays open. One that was made by a
        function is closed at the end; when a worker has died and taken it along, as
        `concurrent.futures.ProcessPoolExecutor` has it, another is made, and what was in flight
        runs again. A cluster of Dask replaces workers itself.
    in_flight : int, optional
        How many tasks are handed out at a time, results that wait for their turn included: by
        default one for each worker and `ahead`. It bounds the memory of both sides.
    ahead : int, optional
        How many tasks wait for a worker to be free; by default one for each.
    told : function of str
        Is told of workers that died or are missing; by default a `WorkersWarning`.

    Raises
    ------
    TypeError
        If `executor` is neither, or a number is no integer.
    ValueError
        If `in_flight` is below 1 or `ahead` below 0.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from tnm_core.scale import Workers
    >>> with ThreadPoolExecutor(2) as pool, Workers(pool) as workers:
    ...     [result for _, result in workers.run(abs, [-1, 2, -3], ordered=True)]
    [1, 2, 3]
    """

    def __init__(
        self,
        executor: Executor | Callable[[], Executor] | None = None,
        *,
        in_flight: int | None = None,
        ahead: int | None = None,
        told: Callable[[str], None] = warn_of_workers,
    ) -> None:
        is_executor = isinstance(executor, Executor)
        if not (executor is None or is_executor or callable(executor)):
            raise TypeError(
                f"executor is a {type(executor).__name__}, expected a concurrent.futures.Executor, "
                "a function that makes one, or None"
            )
        self._make = executor if not isinstance(executor, Executor) else None
        self._executor = executor if isinstance(executor, Executor) else None
        self._in_flight = None if in_flight is None else as_integer("in_flight", in_flight, 1)
        self._ahead = None if ahead is None else as_integer("ahead", ahead, 0)
        self._counted = float("-inf")
        self._count = 1
        self.told = told

    @property
    def are_elsewhere(self) -> bool:
        """Whether tasks run elsewhere than in this thread."""
        return self._make is not None or self._executor is not None

    @property
    def most_in_flight(self) -> int:
        """How many tasks are handed out at a time."""
        count = max(1, self._worker_count())
        return self._in_flight or count + (count if self._ahead is None else self._ahead)

    def run(
        self, function: Callable[[_Task], _Result], tasks: Iterable[_Task], *, ordered: bool = False
    ) -> Iterator[tuple[_Task, _Result]]:
        """Yield tasks and their results, as they come or in the order of the tasks.

        Tasks are taken from the iterable when there is room for them. What is still in flight when
        the iterator is closed, or an exception is raised, is canceled.

        Raises
        ------
        WorkersError
            If workers died three times with the same task, or died and `executor` is no function;
            if the executor dropped tasks, or a worker has another version.
        """
        if self.are_elsewhere:
            yield from _Flow(self, function, ordered).results(tasks)
            return
        for task in tasks:
            yield task, function(task)

    def submit(self, function: Callable[[_Task], _Result], task: _Task) -> Future[_Result]:
        """Hand out a task."""
        if self._executor is None and self._make is not None:
            self._executor = self._make()
        assert self._executor is not None
        with warnings.catch_warnings():
            # Of Dask: that a task of more than 10 MB may be a mistake.
            warnings.filterwarnings("ignore", message="Sending large graph")
            return self._executor.submit(_run_checked, __version__, function, task)

    def renew(self, error: BrokenExecutor) -> None:
        """Make another executor in place of one that takes no more tasks."""
        if self._make is None:
            raise WorkersError(
                f"a worker died, and the {type(self._executor).__name__} takes no more tasks; "
                "expected a function that makes one, such as lambda: ProcessPoolExecutor(4), which "
                "is called again then"
            ) from error
        self.told("a worker died; what it was at is done again by others")
        self.close()

    def look_for_workers(self) -> None:
        """Say so if there are none to wait for."""
        self._counted = float("-inf")
        if self._worker_count() == 0:
            self.told("the executor has no workers; tasks wait until there are some")

    def close(self) -> None:
        """Close an executor that was made here; what it is just at is finished."""
        if self._make is not None and self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None

    def _worker_count(self) -> int:
        now = time.monotonic()
        if now - self._counted > _COUNTED_EVERY:
            self._counted = now
            self._count = _count_workers(self._executor, self._count)
        return self._count

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


ExecutorLike: TypeAlias = Executor | Callable[[], Executor] | Workers
"""An executor, a function that makes one, or the `Workers` that use one."""


@contextmanager
def workers_of(
    executor: ExecutorLike | None, in_flight: int | None = None, ahead: int | None = None
) -> Iterator[Workers]:
    """Yield workers as they are given, or on an executor, until the block ends."""
    if isinstance(executor, Workers):
        yield executor
        return
    with Workers(executor, in_flight=in_flight, ahead=ahead) as workers:
        yield workers


def _count_workers(executor: Executor | None, otherwise: int) -> int:
    """Ask an executor for its workers; neither kind says it in public."""
    client: Any = getattr(executor, "_client", None)
    if client is not None and hasattr(client, "nthreads"):
        try:
            return sum(client.nthreads().values())
        except Exception:  # of whatever kind a lost connection causes; the tasks will tell
            return otherwise
    most = getattr(executor, "_max_workers", None)
    return most if isinstance(most, int) else os.cpu_count() or 1


def _run_checked(version: str, function: Callable[[_Task], _Result], task: _Task) -> _Result:
    if version != __version__:
        raise WorkersError(
            f"the worker {platform.node()} has tnm_core {__version__}, this process {version}; "
            "expected the same version everywhere"
        )
    return function(task)


@dataclass
class _Flight(Generic[_Task]):
    """A task that was handed out, its place among all, and how many workers died meanwhile."""

    number: int
    task: _Task
    deaths: int = 0


class _Flow(Generic[_Task, _Result]):
    """One run: what is in flight, what has landed, and what has to fly again."""

    def __init__(
        self, workers: Workers, function: Callable[[_Task], _Result], ordered: bool
    ) -> None:
        self._workers = workers
        self._function = function
        self._ordered = ordered
        self._next = 0  # to be yielded, if the order matters
        self._flying: dict[Future[_Result], _Flight[_Task]] = {}
        self._landed: dict[int, tuple[_Task, _Result]] = {}
        self._again: list[_Flight[_Task]] = []
        self._error: Exception | None = None

    def results(self, tasks: Iterable[_Task]) -> Iterator[tuple[_Task, _Result]]:
        waiting = (_Flight(number, task) for number, task in enumerate(tasks))
        try:
            self._launch(waiting)
            while self._flying:
                self._land()
                yield from self._ready()  # what is done is not lost to an error of another task
                if self._error is not None:
                    raise self._error
                self._launch(waiting)
        finally:
            for future in self._flying:
                future.cancel()

    def _launch(self, waiting: Iterator[_Flight[_Task]]) -> None:
        self._submit_again()
        most = self._workers.most_in_flight
        while len(self._flying) + len(self._landed) < most:
            flight = next(waiting, None)
            if flight is None:
                return
            self._submit(flight)

    def _submit(self, flight: _Flight[_Task]) -> None:
        try:
            self._flying[self._workers.submit(self._function, flight.task)] = flight
        except BrokenExecutor as error:  # noticed before any result was asked for
            self._again.append(flight)
            self._recover(error)
            self._submit_again()

    def _submit_again(self) -> None:
        while self._again:
            self._submit(self._again.pop(0))

    def _land(self) -> None:
        wait(self._flying, timeout=_PATIENCE, return_when=FIRST_COMPLETED)
        # Not what wait returns: it never does for a task that its executor has just dropped.
        done = [future for future in self._flying if future.done()]
        if not done:
            self._workers.look_for_workers()
        broken = None
        for future in done:
            try:
                broken = self._take(future) or broken
            except Exception as error:
                self._error = self._error or error
        if broken is not None and self._error is None:
            self._recover(broken)

    def _recover(self, error: BrokenExecutor) -> None:
        """Gather what an executor that broke has lost, to run it again on another one."""
        while not all(future.done() for future in self._flying):
            wait(self._flying, timeout=_PATIENCE)
        for future in [*self._flying]:
            self._take(future)
        for flight in self._again:
            flight.deaths += 1
        self._again.sort(key=lambda flight: flight.number)
        if any(flight.deaths >= _MOST_DEATHS for flight in self._again):
            raise WorkersError(
                f"workers died {_MOST_DEATHS} times at the same tasks; they may lack memory: take "
                "fewer workers, or let each take less"
            ) from error
        self._workers.renew(error)

    def _take(self, future: Future[_Result]) -> BrokenExecutor | None:
        """Take what came of a task; return the error of an executor that broke."""
        flight = self._flying.pop(future)
        try:
            self._landed[flight.number] = flight.task, future.result()
        except BrokenExecutor as error:
            self._again.append(flight)
            return error
        except CancelledError as error:
            raise WorkersError(
                "the executor dropped tasks: it was closed, or its scheduler has gone"
            ) from error
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "tnm_core":
                raise
            raise WorkersError(
                f"a worker cannot import {error.name}; expected tnm_core {__version__} everywhere"
            ) from error
        except Exception as error:
            if type(error).__name__ != "KilledWorker":  # of distributed, which need not be there
                raise
            raise WorkersError(
                f"workers of the cluster died too often at the same task ({error}); they may lack "
                "memory: let each take less"
            ) from error
        return None

    def _ready(self) -> Iterator[tuple[_Task, _Result]]:
        """Yield what has landed and whose turn it is."""
        if not self._ordered:
            for number in sorted(self._landed):
                yield self._landed.pop(number)
        while self._next in self._landed:
            yield self._landed.pop(self._next)
            self._next += 1
