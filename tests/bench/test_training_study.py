"""The study of training, on a small task: arms, runs, times, tables, pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.study.choice import matching
from bench.study.runs import Results, complete
from bench.training import text
from bench.training.arms import (
    DENSE,
    ENDS_DENSE,
    HALF,
    Arm,
    by_method,
    by_pattern,
    by_recipe,
    ends_dense,
)
from bench.training.arms import without_masks as without
from bench.training.images import Images, perceptron, residual_network
from bench.training.page import update
from bench.training.run import flips, run, share
from bench.training.step_costs import StepCost, measure, with_products
from bench.training.tables import correlation, log_diversity, lost, quality, step_costs
from bench.training.task import Batch, Rates
from bench.training.tasks import TASKS, default_arms
from bench.training.wall_clock import seconds_at, time_of_dense
from tnm_core import mask_diversity
from tnm_core.torch import MaskStatistics, sparsify_, train_sparse_

STEPS = 40
TASK = "small"
COST = StepCost(
    TASK, "2:4", 10.0, 11.0, 6.0, {"optimal": 2.0, "two_approximation": 1.5, "greedy": 1.0}
)


@dataclass(frozen=True)
class Small:
    """A perceptron that learns a linear function."""

    steps: int = STEPS
    measure_name: str = "squared error"
    rates: Rates = Rates(learning_rate=0.05, weight_decay=0.0)  # noqa: RUF009

    def model(self, *, half: bool = False) -> nn.Module:
        width = 32 if half else 64
        return nn.Sequential(nn.Linear(32, width), nn.ReLU(), nn.Linear(width, 1))

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=self.rates.learning_rate, momentum=0.9)

    def maskable(self, name: str, layer: nn.Module) -> bool:
        return name == "0"

    def batches(self, seed: int, steps: int) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            inputs = torch.randn(32, 32, generator=generator)
            yield inputs, inputs[:, :8].sum(1, keepdim=True)

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        return nn.functional.mse_loss(model(batch[0]), batch[1])

    @torch.no_grad()
    def measure(self, model: nn.Module, *, whole: bool) -> float:
        return float(self.loss(model, next(self.batches(999, 1))))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Results[Arm]:
    """Arms of every kind on two seeds."""
    results = Results(tmp_path_factory.mktemp("training") / "results.json", Arm)
    arms = [*without(TASK), *by_pattern(TASK), *by_recipe(TASK), *by_method(TASK)]
    arms += ends_dense(TASK, ["2:4"])
    wanted = [(arm, seed) for seed in range(2) for arm in arms]
    complete(results, wanted, partial(run, {TASK: Small()}), workers=0)
    assert len(results.found) == len(wanted)
    return results


def test_all_arms_learn_and_differ(kept: Results[Arm]) -> None:
    untrained = float(Small().measure(Small().model(), whole=True))
    for seed in range(2):
        found = [one["measure"] for one in kept.found if one["seed"] == seed]
        assert max(found) < untrained / 2
        assert len(set(found)) > len(found) - 3  # greedy and 2-approximate masks may agree


def test_what_is_kept_of_a_run(kept: Results[Arm]) -> None:
    for one in kept.found:
        at, values = zip(*one["curve"], strict=True)
        assert at[-1] == STEPS
        assert values[-1] == one["measure"]
        dynamic = one["pattern"] not in (DENSE, HALF) and one["recipe"] != "static"
        assert bool(one["flips"]) == dynamic


def test_a_run_is_repeatable(kept: Results[Arm]) -> None:
    first = kept.found[3]
    arm = Arm(first["task"], first["pattern"], first["recipe"], first["method"])
    again = run({TASK: Small()}, arm, first["seed"])
    assert {**again, "seconds": 0} == {**first, "seconds": 0}


def test_an_arm_that_ends_dense_is_fading_until_then(kept: Results[Arm]) -> None:
    seen: list[float] = []

    @dataclass(frozen=True)
    class Seen(Small):
        def measure(self, model: nn.Module, *, whole: bool) -> float:
            seen.append(float((dict(model.named_modules())["0"].weight == 0).float().mean()))
            return super().measure(model, whole=whole)

    ended = run({TASK: Seen()}, Arm(TASK, "2:4", ENDS_DENSE), 0)["curve"]
    (faded,) = (
        one["curve"]
        for one in kept.found
        if (one["pattern"], one["recipe"], one["method"], one["seed"])
        == ("2:4", "fading", "optimal", 0)
    )
    until = STEPS * 4 // 5
    assert [value for at, value in ended if at < until] == [v for at, v in faded if at < until]
    assert ended[-1] != faded[-1]
    points = [at for at, _ in ended]
    assert [zeros for at, zeros in zip(points, seen[:-1], strict=True) if at <= until][-1] == 0.5
    assert seen[-1] < 0.1


def test_flips_of_all_layers_are_added() -> None:
    records = [
        MaskStatistics(3, "a", "2:4", 4, 0.25, 1.0, 0.5),
        MaskStatistics(3, "b", "2:4", 6, 0.125, 1.0, 0.5),
        MaskStatistics(5, "a", "2:4", 0, 0.0, 1.0, 0.5),
        MaskStatistics(5, "b", "2:4", 3, 0.0625, 1.0, 0.5),
    ]
    assert flips(records) == [(3, 10 / 64, 10), (5, 3 / 64, 3)]
    assert flips([]) == []


def test_rates_rise_and_fall() -> None:
    shares = [share(step, 100, Small()) for step in range(100)]
    assert shares[:2] == [0.1, 0.2]
    assert max(shares) == shares[10] == 1.0
    assert all(np.diff(shares[10:]) < 0)
    assert shares[-1] < 1e-3


@pytest.mark.parametrize("recipe", ["fading", "late_static"])
def test_phases_are_those_of_the_recipes(recipe: str) -> None:
    """The cost of each step is that of the phase in which `train_sparse_` has the layers."""
    task = Small()
    model = task.model()
    optimizer = task.optimizer(model)
    training = train_sparse_(
        model, optimizer, "2:4", total_steps=STEPS, recipe=recipe, include=task.maskable
    )  # type: ignore[arg-type]
    arm = Arm(TASK, "2:4", recipe)
    costs = {"dense": 10.0, "fading": 13.0, "masked": 6.0}
    spent = 0.0
    for batch in task.batches(0, STEPS):
        spent += costs[training.phase]
        optimizer.zero_grad()
        task.loss(model, batch).backward()
        optimizer.step()
        assert seconds_at(arm, COST, STEPS, training.steps) == pytest.approx(spent)


def test_times_of_other_recipes() -> None:
    costs = {(TASK, "2:4"): COST}
    assert time_of_dense(Arm(TASK, "2:4", "static"), costs, STEPS) == pytest.approx(0.6)
    assert time_of_dense(Arm(TASK, "2:4", "sr_ste", "greedy"), costs, 4) == pytest.approx(0.7)
    assert time_of_dense(Arm(TASK, "2:4", "every 40 + sr_ste"), costs, 4) == pytest.approx(0.605)
    # A tenth dense, half fading, a fifth masked, a fifth dense.
    ended = 0.1 + 0.5 * (11 + 2) / 10 + 0.2 * 0.6 + 0.2
    assert time_of_dense(Arm(TASK, "2:4", ENDS_DENSE), costs, STEPS) == pytest.approx(ended)
    assert time_of_dense(Arm(TASK, "4:8"), costs, STEPS) is None
    slow = replace(COST, products=None)
    assert time_of_dense(Arm(TASK, "2:4", "static"), {(TASK, "2:4"): slow}, 4) == 1.1


def test_steps_are_timed() -> None:
    (cost,) = measure(TASK, Small(), ("2:4",), seconds=0.0)
    assert min(cost.dense, cost.masked, *cost.refresh.values()) > 0
    assert cost.products is not None
    assert step_costs({(TASK, "2:4"): cost}).count("\n") == 4


def test_products_go_on_with_the_same_parameters() -> None:
    torch.manual_seed(0)
    model = Small().model()
    sparsify_(model, "2:4", include=Small().maskable)
    before = model(torch.ones(4, 32))
    held = {id(one) for one in model.parameters()}
    packed = with_products(model, "2:4")
    assert packed is not None
    assert {id(one) for one in packed.parameters()} == held
    torch.testing.assert_close(packed(torch.ones(4, 32)), before)
    assert with_products(nn.Sequential(nn.ReLU()), "2:4") is None


def test_diversity_is_that_of_the_counts() -> None:
    for pattern in ("2:4", "4:8", "1:4"):
        n, m = map(int, pattern.split(":"))
        assert log_diversity(pattern) == pytest.approx(np.log10(mask_diversity(n, m)) / m**2)
    assert log_diversity("row 2:4") == pytest.approx(np.log10(6) / 4)


def test_tables_pictures_and_page(kept: Results[Arm], tmp_path: Path) -> None:
    tasks, costs = {TASK: Small()}, {(TASK, "2:4"): COST}
    table = quality(kept.found, tasks, costs)
    arm = Arm(TASK, "2:4")
    found = lost(kept.found, arm)
    (line,) = [one for one in table.splitlines() if "| 2:4 | fading | optimal |" in one]
    assert f"{found.mean():+.4f} ± {found.std(ddof=1):.4f}" in line
    assert line.endswith(f"| {time_of_dense(arm, costs, STEPS):.2f} | 2 |")
    assert correlation(kept.found, TASK)[1] == 5  # type: ignore[index]
    (tmp_path / "images").mkdir()
    empty = (
        "| task | pattern | recipe |\n| --- |\n\ntext\n\n| task | pattern | dense, ms |\n| --- |\n"
    )
    page = tmp_path / "training-study.md"
    page.write_text(empty)
    update(kept.found, tasks, costs, tmp_path)
    assert page.read_text() == f"{table}\n\ntext\n\n{step_costs(costs)}\n"
    drawn = {path.name for path in (tmp_path / "images").iterdir()}
    assert drawn == {"training-losses.png", "training-small.png"}


def test_arms_are_chosen_by_name() -> None:
    arms = default_arms()
    assert len(set(arms)) == len(arms)
    assert {arm.task for arm in arms} == set(TASKS)
    assert matching(arms, "width 64 2:4 fading optimal", "arms") == [Arm("text, width 64", "2:4")]
    for wrong in ("nothing", "("):
        with pytest.raises(ValueError, match=f"arms is '{'[(]' if wrong == '(' else wrong}'"):
            matching(arms, wrong, "arms")


def test_half_size_has_about_half_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_alphabet", lambda: {"": 0, "a": 1})
    kinds = (text.Text(64, 1), Images(residual_network, 16, 1), Images(perceptron, 256, 1))
    for task in kinds:
        counts = [
            sum(
                layer.weight.numel()  # type: ignore[operator, union-attr]
                for name, layer in task.model(half=half).named_modules()
                if task.maskable(name, layer)
            )
            for half in (False, True)
        ]
        assert 0.4 < counts[1] / counts[0] < 0.66
