"""Bad input to what trains masks: one line, before anything is changed."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from tests.torch.networks import dense_weight, perceptron
from tests.torch.refusals import assert_refused
from tnm_core import Pattern
from tnm_core.torch import (
    SRSTE,
    DynamicMask,
    StaticMask,
    cubic_schedule,
    masks,
    sparsify_,
)
from tnm_core.torch.layers import WeightAxes


def _sparse() -> tuple[Any, Any]:
    model = perceptron()
    sparsify_(model, "2:4")
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"every": 0}, ValueError, "every"),
        ({"every": 2.5}, TypeError, "every"),
        ({"score": "l1"}, ValueError, "l1"),
        ({"method": "best"}, ValueError, "best"),
        ({"dense_until": -1}, ValueError, "dense_until"),
        ({"dense_until": 9, "fade_until": 8}, ValueError, "fade_until"),
        ({"fade_until": 9, "freeze_from": 8}, ValueError, "freeze_from"),
        ({"freeze_from": 9, "dense_from": 8}, ValueError, "dense_from"),
        ({"schedule": ["2:4"]}, TypeError, "list"),
        ({"schedule": {}}, ValueError, "step 0"),
        ({"schedule": {3: "2:4"}}, ValueError, "3"),
        ({"schedule": {0: "2-4"}}, ValueError, "2-4"),
        ({"schedule": {0: "2:4"}, "dense_until": 3}, ValueError, "schedule"),
    ],
)
def test_dynamic_mask(options: dict[str, Any], error: type[Exception], told: str) -> None:
    assert_refused(lambda: DynamicMask(**options), error, told)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((1,), "total_steps"),
        ((9, 0.5, 0.5), "warm"),
        ((9, -0.1, 0.5), "warm"),
        ((9, 0.1, 2), "until"),
    ],
)
def test_fading(arguments: tuple[Any, ...], told: str) -> None:
    total, *shares = arguments
    options = dict(zip(("warm", "until"), shares, strict=False))
    assert_refused(lambda: DynamicMask.fading(total, **options), ValueError, told)


@pytest.mark.parametrize(
    ("decay", "error"),
    [(-1, ValueError), (float("nan"), ValueError), (float("inf"), ValueError),
     ("2e-4", TypeError), (None, TypeError), (True, TypeError)],
)  # fmt: skip
def test_decay(decay: Any, error: type[Exception]) -> None:
    assert_refused(lambda: SRSTE(decay), error, "decay")


def test_form() -> None:
    assert_refused(lambda: SRSTE(form="paper"), ValueError, "paper")


@pytest.mark.parametrize(("begin", "end"), [(5, 5), (-1, 3), (4, 2)])
def test_cubic_schedule_bounds(begin: int, end: int) -> None:
    assert_refused(lambda: cubic_schedule("4:8", begin, end), ValueError, begin, end)


def test_cubic_schedule() -> None:
    """At each change the curve has just come down to the new pattern's density."""
    schedule = cubic_schedule("2:16", 100, 900)
    assert list(schedule) == sorted(schedule)
    assert schedule[0] == "dense"
    assert schedule[900] == "2:16"

    def density(step: int) -> float:
        return 2 / 16 + (1 - 2 / 16) * (1 - (step - 100) / 800) ** 3

    for step, pattern in list(schedule.items())[1:]:
        kept = int(pattern.split(":")[0])
        assert density(step) <= kept / 16 + 1e-12
        assert density(step - 1) > kept / 16 - 1e-12


def test_cubic_schedule_of_rows() -> None:
    tiles, rows = (cubic_schedule(one, 10, 90) for one in ("2:8", "row 2:8"))
    assert list(rows.values()) == ["dense", *(f"row {one}" for one in list(tiles.values())[1:])]
    assert list(rows) == list(tiles)


@pytest.mark.parametrize("hook", [StaticMask, DynamicMask, SRSTE])
def test_attaching(hook: Any) -> None:
    model, optimizer = _sparse()
    other = torch.optim.SGD(perceptron().parameters(), lr=0.1)
    assert_refused(lambda: hook().attach(model, other), ValueError, "layer '0'", "sparsify_")
    assert_refused(lambda: hook().attach(perceptron(), optimizer), ValueError, "sparsify_")
    attached = hook().attach(model, optimizer)
    assert_refused(lambda: attached.attach(model, optimizer), ValueError, "detach")


@pytest.mark.parametrize("second", [StaticMask, DynamicMask])
def test_a_layer_has_one_owner(second: Any) -> None:
    model, optimizer = _sparse()
    DynamicMask().attach(model, optimizer)
    assert_refused(lambda: second().attach(model, optimizer), ValueError, "'0'", "DynamicMask")


@pytest.mark.parametrize("state", [{}, {"steps": -1}, {"steps": "3"}, {"steps": 1.5}])
def test_state_of_something_else(state: dict[str, Any]) -> None:
    assert_refused(lambda: StaticMask().load_state_dict(state), ValueError, "steps")


def test_a_schedule_that_does_not_fit() -> None:
    model, optimizer = _sparse()
    schedule = {0: "2:4", 5: "8:16"}
    dynamic = DynamicMask(schedule=schedule)
    assert_refused(lambda: dynamic.attach(model, optimizer), ValueError, "layer '2'", "8:16")
    assert not dynamic.is_attached


def test_a_schedule_that_begins_with_another_pattern() -> None:
    model, optimizer = _sparse()
    DynamicMask(schedule={0: "4:8"}).attach(model, optimizer)
    before = dense_weight(model[0]).detach().clone()
    model(torch.ones(1, 16)).sum().backward()
    assert_refused(optimizer.step, ValueError, "layer '0'", "2:4", "'4:8'")
    assert torch.equal(dense_weight(model[0]), before)


def test_weights_that_become_nan() -> None:
    model, optimizer = _sparse()
    DynamicMask(every=1).attach(model, optimizer)
    before = masks(model)["0"]
    with torch.no_grad():
        dense_weight(model[0])[3, 5] = float("nan")
    model(torch.ones(1, 16)).sum().backward()
    assert_refused(optimizer.step, ValueError, "layer '0' after 1 steps", "nan")
    assert torch.equal(masks(model)["0"], before)


# Layers that pack their weights.


class _Packed(nn.Linear):
    """What `masked_weights` recognises by its attributes."""

    tnm_masked_weight = True

    def __init__(self) -> None:
        super().__init__(8, 8)
        self.pattern, self.weight_axes = Pattern(2, 4), WeightAxes()
        self.masked_gradient = False
        self.calls: list[str] = []
        self.register_buffer("mask", (torch.eye(4) + torch.eye(4).roll(1, 0)).bool().repeat(2, 2))

    def set_mask(self, mask: Any, *, validate: bool = True) -> None:
        self.calls.append("set_mask")
        self.mask.copy_(mask)

    def repack_if_changed(self) -> None:
        self.calls.append("repack")

    def forward(self, inputs: Any) -> Any:
        return nn.functional.linear(inputs, self.weight * self.mask, self.bias)


def _packed() -> tuple[Any, Any, Any]:
    model = nn.Sequential(_Packed())
    return model, torch.optim.SGD(model.parameters(), lr=0.1), model[0]


def test_packed_layers_are_trained() -> None:
    model, optimizer, layer = _packed()
    assert list(masks(model)) == ["0"]
    DynamicMask(every=2, freeze_from=3).attach(model, optimizer)
    SRSTE(decay=0.5).attach(model, optimizer)
    for expected in (["repack"], ["set_mask", "repack"], ["set_mask", "repack"], ["repack"]):
        layer.calls.clear()
        model(torch.ones(1, 8)).sum().backward()
        optimizer.step()
        assert layer.calls == expected
    assert layer.masked_gradient


def test_packed_layers_that_cannot_be_dense_or_change_their_pattern() -> None:
    model, optimizer, layer = _packed()
    for options in (
        {"dense_until": 3}, {"fade_until": 3}, {"dense_from": 3}, {"schedule": {0: "2:4"}},
    ):  # fmt: skip
        attach = partial(DynamicMask(**options).attach, model, optimizer)
        assert_refused(attach, ValueError, "layer '0'", "_Packed")
    refined = SRSTE(form="backward")
    assert_refused(lambda: refined.attach(model, optimizer), ValueError, "layer '0'", "form=")
    assert layer.calls == []


def test_packed_layers_are_not_masked_again() -> None:
    report = sparsify_(nn.Sequential(_Packed(), nn.Linear(8, 8)), "2:4")
    assert [layer.reason for layer in report.skipped] == ["is sparse already"]
