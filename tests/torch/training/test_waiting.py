"""Training waits for no device in a step, and says what replays of a CUDA graph leave out."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from tests.support.scaled_steps import DeviceFlag, FusedSgd, device_flag
from tnm_core.torch import SRSTE, DynamicMask, StaticMask, masks, sparsify_
from tnm_core.torch.layers import sparse_layers
from tnm_core.torch.tensors import cuda_graphs
from tnm_core.torch.training import finite_weights, hooks, mask_statistics
from tnm_core.torch.training.finite_weights import names_of_finite

LR = 0.1


@pytest.fixture
def reads() -> Iterator[Any]:
    DeviceFlag.reads = 0
    yield lambda: DeviceFlag.reads
    DeviceFlag.reads = 0


def _model(layers: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(16, 16, dtype=torch.float64) for _ in range(layers)))
    sparsify_(model, "2:4")
    return model


def _train(model: nn.Module, optimizer: FusedSgd, left_out: str) -> None:
    """One step for each letter, ``x`` for those that the device leaves out."""
    for seed, letter in enumerate(left_out):
        optimizer.zero_grad()
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.randn(8, 16, generator=generator, dtype=torch.float64)
        model(inputs).square().mean().backward()
        optimizer.found_inf = device_flag(2.0 if letter == "x" else 0.0)
        optimizer.step()


def test_static_masks_and_decay_never_read(reads: Any) -> None:
    model = _model()
    optimizer = FusedSgd(model.parameters(), lr=LR)
    static = StaticMask().attach(model, optimizer)
    refined = SRSTE(decay=0.3).attach(model, optimizer)
    _train(model, optimizer, "..x..x")
    assert reads() == 0
    assert (static.steps, refined.steps) == (4, 4)
    assert reads() == 2, "once for each that is asked"
    assert (static.steps, refined.steps) == (4, 4)
    assert reads() == 2, "and not again"


def test_decoupled_decay_leaves_out_what_the_optimizer_does(reads: Any) -> None:
    model = _model()
    optimizer = FusedSgd(model.parameters(), lr=LR)
    DynamicMask(every=1000).attach(model, optimizer)
    SRSTE(decay=0.3, form="decoupled").attach(model, optimizer)
    _train(model, optimizer, "..")
    before = copy.deepcopy(model.state_dict())
    _train(model, optimizer, "x")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    _train(model, optimizer, ".")
    assert not torch.equal(
        model.state_dict()["0.parametrizations.weight.original"],
        before["0.parametrizations.weight.original"],
    )
    assert reads() == 0


def test_refreshes_read_when_one_may_be_due(reads: Any) -> None:
    """Steps that count do the same in the same order, wherever others were left out."""
    results = []
    for left_out in ("........", "..x..xx..x.x."):
        model = _model()
        optimizer = FusedSgd(model.parameters(), lr=LR)
        dynamic = DynamicMask(every=4).attach(model, optimizer)
        before = reads()
        generator = iter(range(100))
        for letter in left_out:
            optimizer.zero_grad()
            # A step that is left out has gradients of its own.
            seed = next(generator) if letter == "." else 1000
            inputs = torch.randn(
                8, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
            )
            model(inputs).square().mean().backward()
            optimizer.found_inf = device_flag(1.0 if letter == "x" else 0.0)
            optimizer.step()
        assert reads() - before <= 2 + left_out.count("x")
        assert [record.step for record in dynamic.statistics] == [4, 8]
        assert dynamic.steps == 8
        results.append({**model.state_dict(), **masks(model)})
    for name, value in results[0].items():
        assert torch.equal(value, results[1][name]), name


def test_every_event_of_a_schedule_is_met_once(reads: Any) -> None:
    for left_out in ("." * 9, "x.x.xx..x...xxx.x.x.", "....xxxx...x..xx"):
        model = _model()
        optimizer = FusedSgd(model.parameters(), lr=LR)
        options: dict[str, Any] = {"dense_until": 2, "fade_until": 5, "freeze_from": 7}
        dynamic = DynamicMask(every=3, **options).attach(model, optimizer)
        modes = []
        for letter in left_out:
            _train(model, optimizer, letter)
            [weight] = sparse_layers(model)
            if letter == ".":
                modes.append(weight.mode)
        assert [record.step for record in dynamic.statistics] == [2, 3, 6, 7], left_out
        expected = ["dense", *["fading"] * 3, *["straight_through"] * 2, *["masked"] * 9]
        assert modes == expected[: len(modes)], left_out


def test_statistics_are_read_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = torch.stack

    def noting(tensors: Any, *rest: Any) -> torch.Tensor:
        read.append(len(tensors))
        return original(tensors, *rest)

    model = _model(3)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    dynamic = DynamicMask(every=1).attach(model, optimizer)
    inputs = torch.randn(8, 16, dtype=torch.float64)
    for _ in range(2):
        model(inputs).square().mean().backward()
        optimizer.step()
    records = dynamic._records
    assert records is not None
    assert len(records._unread) == 6
    monkeypatch.setattr(mask_statistics.torch, "stack", noting)
    found = dynamic.statistics
    assert read == [6], "all at once"
    assert [(one.step, one.layer) for one in found] == [
        (step, str(layer)) for step in (1, 2) for layer in range(3)
    ]
    assert dynamic.statistics is found
    assert read == [6]
    monkeypatch.setattr(mask_statistics, "_MOST_UNREAD", 3)
    optimizer.step()
    assert 3 in read[1:], "memory that nobody asks for is given back"
    assert records._unread == []
    assert len(dynamic.statistics) == 9


def test_finite_weights_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(4)
    weights = sparse_layers(model)
    with torch.no_grad():
        weights[1].parameter[2, 3] = float("nan")
        weights[3].parameter[0, 0] = 1e200
    assert names_of_finite(weights) == frozenset(), "the host sees it on the way"
    monkeypatch.setattr(finite_weights, "_is_host", lambda device: False)
    assert names_of_finite(weights) == {"0", "2", "3"}
    asked: list[int] = []
    stack = torch.stack

    def noting(tensors: Any) -> torch.Tensor:
        asked.append(len(tensors))
        return stack(tensors)

    monkeypatch.setattr(finite_weights.torch, "stack", noting)
    names_of_finite(weights)
    assert asked == [4]


def test_refreshes_pass_on_which_weights_are_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    DynamicMask(every=1, statistics=False).attach(model, optimizer)
    monkeypatch.setattr(finite_weights, "_is_host", lambda device: False)
    known: list[bool] = []
    axes = type(sparse_layers(model)[0].axes)
    solve = axes.solve

    def noting(self: Any, *values: Any, known_finite: bool, **options: Any) -> torch.Tensor:
        known.append(known_finite)
        return solve(self, *values, known_finite=known_finite, **options)

    monkeypatch.setattr(axes, "solve", noting)
    optimizer.step()
    assert known == [True] * 3
    before = {name: mask.clone() for name, mask in masks(model).items()}
    with torch.no_grad():
        sparse_layers(model)[1].parameter[2, 3] = float("inf")
    with pytest.raises(ValueError, match=r"layer '1' after 2 steps: .*2, 3"):
        optimizer.step()
    assert known[3:] == [True, False]
    assert all(torch.equal(mask, before[name]) for name, mask in masks(model).items())


@pytest.fixture
def _capturing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "is_capturing", lambda: True)


@pytest.mark.usefixtures("_capturing")
def test_masks_that_follow_weights_refuse_captured_steps() -> None:
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    dynamic = DynamicMask().attach(model, optimizer)
    with pytest.raises(RuntimeError, match=r"would never be refreshed; expected steps outside"):
        optimizer.step()
    assert dynamic.steps == 0
    dynamic.detach()
    optimizer.step()


@pytest.mark.usefixtures("_capturing")
@pytest.mark.parametrize("kind", [StaticMask, SRSTE])
def test_what_replays_do_and_do_not_is_told(kind: Any) -> None:
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    hook = kind().attach(model, optimizer)
    with pytest.warns(UserWarning, match=rf"{kind.__name__} is captured .* steps stand still"):
        optimizer.step()
    hook.detach()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.step()


def test_capturing_is_asked_of_cuda_where_that_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> bool:
        raise AssertionError("CUDA was asked before it was in use")

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", refuse)
    assert not cuda_graphs.is_capturing()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    for answer in (True, False):
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: answer)  # noqa: B023
        assert cuda_graphs.is_capturing() == answer
