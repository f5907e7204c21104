"""Layers solved by workers are those that are solved here."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from tnm_core.scale import Workers
from tnm_core.torch.calibrate import PruneReport, PruneStep, prune_model_
from tnm_core.torch.calibrate.model import layer_task, prune_group


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.down = nn.LayerNorm(16), nn.Linear(32, 16)
        self.up, self.gate = nn.Linear(16, 32), nn.Linear(16, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x_n = self.norm(x)
        return x + self.down(torch.relu(self.up(x_n)) * self.gate(x_n))


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 16), _Block(), _Block(), nn.Linear(16, 8))


@pytest.fixture
def batches() -> list[torch.Tensor]:
    return [torch.randn(32, 16, generator=torch.Generator().manual_seed(i)) for i in range(3)]


def _figures(report: PruneReport) -> list[object]:
    return [replace(layer, seconds=None) for layer in report.layers]


@pytest.mark.parametrize("recipe", ["least_squares", "best"])
def test_workers_make_the_same_model(batches: list[torch.Tensor], recipe: str) -> None:
    here, there = _model(), _model()
    expected = prune_model_(here, batches, "2:4", recipe)
    with ThreadPoolExecutor(2) as pool:
        report = prune_model_(there, batches, "2:4", recipe, executor=pool)
    assert _figures(report) == _figures(expected)
    for name, value in here.state_dict().items():
        assert torch.equal(there.state_dict()[name], value), name


class _Journal:
    def __init__(self, steps: list[PruneStep]) -> None:
        self.steps = steps
        self.kept: list[int] = []

    def recall(self, number: int) -> PruneStep | None:
        return self.steps[number] if number < len(self.steps) else None

    def keep(self, number: int, step: PruneStep) -> None:
        assert number == len(self.steps)
        self.steps.append(step)
        self.kept.append(number)


def test_layers_are_solved_ahead_and_a_journal_goes_on(
    batches: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    solved: list[str] = []
    solve = layer_task.solve_sent

    def note(sent: layer_task.SentTask) -> bytes:
        solved.append(sent.name)
        return solve(sent)

    monkeypatch.setattr(prune_group, "solve_sent", note)
    whole, first = _model(), _Journal([])
    make = partial(ThreadPoolExecutor, 2)
    prune_model_(whole, batches, "2:4", "least_squares", journal=first, executor=make)
    assert len(solved) == 8
    again, rest = _model(), _Journal(first.steps[:4])
    solved.clear()
    prune_model_(again, batches, "2:4", "least_squares", journal=rest, executor=make)
    assert rest.kept == [4, 5]
    assert sorted(solved) == ["2.down", "3"]
    for name, value in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_the_next_problems_are_posed_while_workers_solve(
    batches: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a recipe that is sequential they must not be."""
    posed: list[int] = []
    of = layer_task.SentTask.of
    monkeypatch.setattr(layer_task.SentTask, "of", lambda task: posed.append(1) or of(task))
    most = []
    run = Workers.run

    def watch(self: Workers, *arguments: Any, **options: Any) -> Iterator[Any]:
        done = len(posed)
        for one in run(self, *arguments, **options):
            most.append(len(posed) - done)
            done += 1
            yield one

    monkeypatch.setattr(Workers, "run", watch)
    for recipe, expected in (("wanda", 3), ("sequential", 2)):
        posed.clear(), most.clear()
        with ThreadPoolExecutor(2) as pool:
            prune_model_(_model(), batches, "2:4", recipe, executor=pool)
        assert max(most) == expected  # two workers and one ahead; or two layers with one input


def test_a_model_is_as_it_was_when_workers_fail(batches: list[torch.Tensor]) -> None:
    model, before = _model(), _model().state_dict()

    class Failing(ThreadPoolExecutor):
        def submit(self, *_: Any, **__: Any) -> Any:
            raise OSError("no more")

    with Failing(1) as pool, pytest.raises(OSError, match="no more"):
        prune_model_(model, batches, "2:4", "wanda", executor=pool)
    for name, value in before.items():
        assert torch.equal(model.state_dict()[name], value)


def test_other_devices_are_refused(batches: list[torch.Tensor]) -> None:
    seen: list[layer_task.LayerTask] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prune_group, "solve_layer", lambda task: seen.append(task) or solve(task))
        solve = layer_task.solve_layer
        prune_model_(_model(), batches, "2:4", "wanda")
    elsewhere = replace(seen[0].problem, dense=seen[0].problem.dense.to("meta"))
    with pytest.raises(ValueError, match="on meta and executor is given, expected a model on the"):
        layer_task.SentTask.of(replace(seen[0], problem=elsewhere))


def test_workers_take_as_many_threads_as_the_client() -> None:
    with layer_task._threads(2):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 1
