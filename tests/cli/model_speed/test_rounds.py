"""Models take turns, and each batch counts at its fastest."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

import pytest
import torch

from tnm_core.cli.model_speed import rounds

Call = tuple[str, int]


class Clock:
    """Stands still but for what models take."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "perf_counter", made)
    return made


def _batches(number: int) -> list[rounds.Batch]:
    return [{"x": torch.tensor(index)} for index in range(number)]


def _model(name: str, clock: Clock, calls: list[Call], cost: Callable[[int, int], float]) -> object:
    """A model that takes `cost(batch, call)` seconds."""
    numbers = count()

    def run(x: torch.Tensor) -> None:
        calls.append((name, int(x)))
        clock.now += cost(int(x), next(numbers))

    return run


def test_models_alternate_and_the_fastest_run_of_each_batch_counts(clock: Clock) -> None:
    calls: list[Call] = []
    slow_first = {0: 9.0, 3: 8.0}  # in its first round batch 0, in its second batch 1 is disturbed
    models = {
        "a": _model("a", clock, calls, lambda batch, call: slow_first.get(call, 2.0 + batch)),
        "b": _model("b", clock, calls, lambda batch, call: 1.0),
    }
    shares: list[float] = []
    best = rounds.best_seconds(models, _batches(2), 1.0, shares.append)
    assert best == {"a": 5.0, "b": 2.0}
    assert calls == [("a", 0), ("a", 1), ("b", 0), ("b", 1)] * rounds.LEAST_ROUNDS
    assert shares == [pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0]


def test_rounds_go_on_for_the_time_that_is_given(clock: Clock) -> None:
    calls: list[Call] = []
    models = {"a": _model("a", clock, calls, lambda *_: 1.0)}
    rounds.best_seconds(models, _batches(2), 19.0, lambda share: None)
    assert len(calls) == 20


@pytest.mark.parametrize(
    ("seconds", "expected"), [(1000.0, [0, 1, 2, 3, 4, 5]), (40.0, [1, 3, 5]), (0.001, [3])]
)
def test_as_many_batches_as_the_time_allows_of_all_lengths(
    clock: Clock, seconds: float, expected: list[int]
) -> None:
    models = {
        "a": _model("a", clock, [], lambda *_: 3.0),
        "b": _model("b", clock, [], lambda *_: 1.0),
    }
    chosen = rounds.some_of(models, _batches(6), seconds)
    assert [int(batch["x"]) for batch in chosen] == expected
