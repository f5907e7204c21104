"""Tasks on executors: results, order, bounds, and workers that die."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.scale.worker_tasks import (
    die,
    die_once,
    double,
    fail_at_three,
    wait_longer_for_early_ones,
)
from tnm_core.scale import Workers, WorkersError, WorkersWarning, process_pool, workers


def test_results_of_this_thread_and_of_others_are_the_same() -> None:
    expected = [(number, 2 * number) for number in range(50)]
    with ThreadPoolExecutor(3) as pool:
        for executor in (None, pool, partial(ThreadPoolExecutor, 2)):
            with Workers(executor) as some:
                assert [*some.run(double, range(50), ordered=True)] == expected
                assert sorted(some.run(double, range(50))) == expected


def test_order_is_kept_though_early_tasks_take_longer() -> None:
    with ThreadPoolExecutor(4) as pool:
        ordered = [*Workers(pool).run(wait_longer_for_early_ones, range(12), ordered=True)]
        free = [*Workers(pool).run(wait_longer_for_early_ones, range(12))]
    assert [task for task, _ in ordered] == [*range(12)]
    assert sorted(free) == ordered
    assert free != ordered


@pytest.mark.parametrize("ordered", [True, False])
def test_tasks_are_taken_when_there_is_room(ordered: bool) -> None:
    taken = 0

    def tasks() -> Iterator[int]:
        nonlocal taken
        for number in range(40):
            taken += 1
            yield number

    with ThreadPoolExecutor(2) as pool:
        done = 0
        for _ in Workers(pool, in_flight=3).run(double, tasks(), ordered=ordered):
            assert taken - done <= 3
            done += 1
        assert Workers(pool).most_in_flight == 4
        assert Workers(pool, ahead=1).most_in_flight == 3
    assert done == 40


def test_an_error_of_a_task_is_that_of_the_run_and_ends_it() -> None:
    found: list[int] = []
    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyError, match="three"):
        found.extend(n for n, _ in Workers(pool, in_flight=2).run(fail_at_three, range(10**9)))
    assert {0, 1, 2} <= {*found} <= {0, 1, 2, 4, 5}


def test_a_worker_that_dies_costs_what_was_in_flight(tmp_path: Path) -> None:
    tasks = [(str(tmp_path), number) for number in range(8)]
    with (
        Workers(partial(process_pool, 1), in_flight=2) as some,
        pytest.warns(WorkersWarning, match="a worker died"),
    ):
        found = [result for _, result in some.run(die_once, tasks, ordered=True)]
    assert found == [2 * number for number in range(8)]
    attempts = [len((tmp_path / str(number)).read_text()) for number in range(8)]
    assert attempts[3] == 2
    assert attempts[:3] == [1, 1, 1]  # what was done is not done again
    assert sum(attempts) <= 8 + 2


def test_an_executor_that_cannot_be_made_anew_is_an_error() -> None:
    with process_pool(1) as pool, pytest.raises(WorkersError, match="a function that makes one"):
        [*Workers(pool).run(die, [1])]


class _Dying(Executor):
    """Loses every task, as a pool does whose worker was killed."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        from concurrent.futures.process import BrokenProcessPool

        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool("gone"))
        return future


def test_tasks_that_kill_every_worker_are_given_up() -> None:
    told: list[str] = []
    with pytest.raises(WorkersError, match="died 3 times at the same tasks; they may lack memory"):
        [*Workers(_Dying, told=told.append).run(double, [1])]
    assert len(told) == 2


def test_what_is_done_comes_before_an_error() -> None:
    class Done(Executor):
        def submit(self, function: Any, *arguments: Any, **_: Any) -> Future[Any]:
            future: Future[Any] = Future()
            try:
                future.set_result(function(*arguments))
            except KeyError as error:
                future.set_exception(error)
            return future

    found: list[int] = []
    with pytest.raises(KeyError):
        found.extend(n for n, _ in Workers(Done(), in_flight=10).run(fail_at_three, range(10)))
    assert found == [0, 1, 2, *range(4, 10)]


class _Dropping(ThreadPoolExecutor):
    """Drops tasks, as a cluster does whose scheduler has gone."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.cancel()
        return future


def test_dropped_tasks_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_PATIENCE", 0.01)
    with _Dropping(1) as pool, pytest.raises(WorkersError, match="its scheduler has gone"):
        [*Workers(pool).run(double, [1])]


def test_tasks_that_were_not_begun_are_canceled_with_the_run() -> None:
    begun: list[int] = []
    hold = threading.Event()

    def wait(number: int) -> int:
        begun.append(number)
        if number:
            hold.wait(10)
        return number

    with ThreadPoolExecutor(1) as pool:
        run = Workers(pool, in_flight=6).run(wait, range(6))
        assert next(run) == (0, 0)
        run.close()
        hold.set()
    assert len(begun) <= 2


def test_missing_workers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty(ThreadPoolExecutor):
        class _client:  # noqa: N801  of distributed
            @staticmethod
            def nthreads() -> dict[str, int]:
                return {}

    monkeypatch.setattr(workers, "_PATIENCE", 0.01)
    told: list[str] = []
    with Empty(1) as pool:
        [*Workers(pool, told=told.append).run(wait_longer_for_early_ones, [0])]
    assert told
    assert "no workers" in told[0]


def test_another_version_is_refused() -> None:
    with pytest.raises(WorkersError, match=r"tnm_core .*, this process 0\.0\.0; expected the same"):
        workers._run_checked("0.0.0", double, 1)


@pytest.mark.parametrize(
    ("numbers", "error", "told"),
    [
        ({"in_flight": 0}, ValueError, "in_flight is 0, expected at least 1"),
        ({"in_flight": -1}, ValueError, "in_flight is -1"),
        ({"in_flight": 1.5}, TypeError, "in_flight"),
        ({"ahead": -2}, ValueError, "ahead is -2, expected at least 0"),
    ],
)
def test_numbers_with_which_no_task_would_run_are_refused(
    numbers: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        Workers(partial(ThreadPoolExecutor, 2), **numbers)


def test_what_is_no_executor_is_refused() -> None:
    with pytest.raises(TypeError, match="executor is a int, expected a concurrent"):
        Workers(4)  # type: ignore[arg-type]


def test_a_process_pool_is_an_executor() -> None:
    assert isinstance(process_pool(2), ProcessPoolExecutor)
