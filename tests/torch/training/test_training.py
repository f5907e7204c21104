"""Static, dynamic and SR-STE training against the same written out by hand."""

from __future__ import annotations

import copy
import io
from contextlib import nullcontext
from typing import Any

import pytest
import torch

import tnm_core as tnm
from tests.torch.networks import dense_weight, perceptron
from tests.torch.training.references import (
    NaiveTraining,
    batch,
    loss_of,
)
from tnm_core.torch import (
    SRSTE,
    DynamicMask,
    StaticMask,
    dense_state_dict,
    masks,
    remove_sparsity_,
    sparsify_,
)

LR = 0.2


def _sparse(pattern: str = "2:4", dtype: Any = torch.float64) -> tuple[Any, Any]:
    model = perceptron(dtype=dtype)
    sparsify_(model, pattern)
    return model, torch.optim.SGD(model.parameters(), lr=LR)


def _train(model: Any, optimizer: Any, begin: int, end: int) -> None:
    for step in range(begin, end):
        optimizer.zero_grad()
        loss_of(model(batch(step, next(model.parameters()).dtype))).backward()
        optimizer.step()


def _assert_like(model: Any, naive: NaiveTraining) -> None:
    for i, layer in enumerate((model[0], model[2])):
        assert torch.equal(layer.parametrizations.weight[0].mask, naive.masks[i])
        torch.testing.assert_close(dense_weight(layer), naive.weights[i], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(layer.bias, naive.biases[i], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("pattern", ["2:4", "row 2:4"])
def test_static(pattern: str) -> None:
    model, optimizer = _sparse(pattern)
    naive = NaiveTraining(perceptron(dtype=torch.float64), pattern, LR)
    StaticMask().attach(model, optimizer)
    naive.weights = [w * m for w, m in zip(naive.weights, naive.masks, strict=True)]
    before = masks(model)
    for step in range(6):
        _train(model, optimizer, step, step + 1)
        naive.step(batch(step), straight_through=False)
        _assert_like(model, naive)
        for name, mask in before.items():
            assert torch.equal(masks(model)[name], mask)
            assert not dense_weight(model[int(name)])[~mask].any()


def test_static_zeroes_what_momentum_and_decay_move() -> None:
    model, _ = _sparse()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.3)
    _train(model, optimizer, 0, 2)
    StaticMask().attach(model, optimizer)
    _train(model, optimizer, 2, 4)
    for name, mask in masks(model).items():
        assert torch.equal(dense_weight(model[int(name)]) != 0, mask)


@pytest.mark.parametrize("pattern", ["2:4", "4:8", "row 3:8"])
@pytest.mark.parametrize("every", [1, 3])
def test_dynamic(every: int, pattern: str) -> None:
    model, optimizer = _sparse(pattern)
    naive = NaiveTraining(perceptron(dtype=torch.float64), pattern, LR)
    dynamic = DynamicMask(every=every).attach(model, optimizer)
    divergence = []
    for step in range(9):
        _train(model, optimizer, step, step + 1)
        naive.step(batch(step))
        if (step + 1) % every == 0:
            divergence += naive.refresh()
        _assert_like(model, naive)
    assert any(divergence), "masks that never change test nothing"
    assert [record.sad for record in dynamic.statistics] == divergence
    assert dynamic.steps == 9


@pytest.mark.parametrize("form", ["gradient", "decoupled", "backward"])
@pytest.mark.parametrize("refined_first", [False, True])
def test_sr_ste(form: Any, refined_first: bool) -> None:
    """All forms are the same step of plain SGD, whichever hook comes first."""
    model, optimizer = _sparse()
    naive = NaiveTraining(perceptron(dtype=torch.float64), "2:4", LR)
    hooks: list[Any] = [DynamicMask(every=2), SRSTE(decay=0.3, form=form)]
    for hook in reversed(hooks) if refined_first else hooks:
        hook.attach(model, optimizer)
    for step in range(6):
        _train(model, optimizer, step, step + 1)
        naive.step(batch(step), decay=0.3)
        if step % 2:
            naive.refresh()
        _assert_like(model, naive)


def test_decoupled_is_no_gradient_with_adam() -> None:
    """AdamW moves a pruned weight without gradient by the decoupled term alone."""
    model = torch.nn.Sequential(torch.nn.Linear(8, 8, bias=False, dtype=torch.float64))
    sparsify_(model, "2:4")
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.0)
    DynamicMask(every=100).attach(model, optimizer)
    SRSTE(decay=0.5, form="decoupled").attach(model, optimizer)
    before, mask = dense_weight(model[0]).detach().clone(), masks(model)["0"]
    (model(torch.zeros(1, 8, dtype=torch.float64)) * 1).sum().backward()
    optimizer.step()
    expected = torch.where(mask, before, before * (1 - 0.1 * 0.5))
    torch.testing.assert_close(dense_weight(model[0]).detach(), expected, rtol=1e-12, atol=0)


def test_fading() -> None:
    model, optimizer = _sparse()
    naive = NaiveTraining(perceptron(dtype=torch.float64), "2:4", LR)
    dynamic = DynamicMask.fading(10, warm=0.2, until=0.6, every=1).attach(model, optimizer)
    assert (dynamic.dense_until, dynamic.fade_until, dynamic.freeze_from) == (2, 6, 6)
    for step in range(10):
        _train(model, optimizer, step, step + 1)
        leak = 1.0 if step < 2 else max(0.0, 1 - (step - 2) / 4)
        naive.step(batch(step), leak=leak, straight_through=False)
        if 2 <= step + 1 <= 6:
            naive.refresh()
        _assert_like(model, naive)
    assert sorted({record.step for record in dynamic.statistics}) == [2, 3, 4, 5, 6]


def test_masks_are_found_where_phases_begin() -> None:
    model, optimizer = _sparse()
    dynamic = DynamicMask(every=100, dense_until=2, freeze_from=5).attach(model, optimizer)
    _train(model, optimizer, 0, 8)
    assert [record.step for record in dynamic.statistics] == [2, 2, 5, 5]


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("form", ["gradient", "decoupled"])
def test_gradients_that_a_closure_computes(form: Any, by_name: bool) -> None:
    model, optimizer = _sparse()
    naive = NaiveTraining(perceptron(dtype=torch.float64), "2:4", LR)
    DynamicMask(every=1).attach(model, optimizer)
    SRSTE(decay=0.3, form=form).attach(model, optimizer)
    for step in range(3):

        def closure(step: int = step) -> Any:
            optimizer.zero_grad()
            loss = loss_of(model(batch(step)))
            loss.backward()
            return loss

        loss = optimizer.step(closure=closure) if by_name else optimizer.step(closure)
        assert loss > 0
        naive.step(batch(step), decay=0.3)
        naive.refresh()
        _assert_like(model, naive)


def test_dense_at_the_end() -> None:
    model, optimizer = _sparse()
    naive = NaiveTraining(perceptron(dtype=torch.float64), "2:4", LR)
    DynamicMask(every=2, dense_from=4).attach(model, optimizer)
    SRSTE(decay=0.5).attach(model, optimizer)
    for step in range(7):
        _train(model, optimizer, step, step + 1)
        dense = step >= 4
        naive.step(batch(step), leak=float(dense), decay=0.0 if dense else 0.5)
        if step + 1 == 2:
            naive.refresh()
        _assert_like(model, naive)
    inputs = batch(0)
    dense_output = torch.relu(inputs @ dense_weight(model[0]).T + model[0].bias)
    dense_output = dense_output @ dense_weight(model[2]).T + model[2].bias
    torch.testing.assert_close(model(inputs), dense_output)


@pytest.mark.parametrize(
    ("first", "last"), [("4:8", "2:4"), ("row 4:8", "2:4"), ("2:4", "row 1:4")]
)
def test_a_schedule_of_patterns(first: str, last: str) -> None:
    model, optimizer = _sparse(first)
    naive = NaiveTraining(perceptron(dtype=torch.float64), first, LR)
    dynamic = DynamicMask(every=3, schedule={0: "dense", 2: first, 7: last})
    dynamic.attach(model, optimizer)
    seen = []
    for step in range(10):
        _train(model, optimizer, step, step + 1)
        naive.step(batch(step), leak=float(step < 2))
        done = step + 1
        if done == 7:
            naive.pattern = last
        if done >= 2 and (done % 3 == 0 or done in (2, 7)):
            naive.refresh()
            seen.append((done, naive.pattern))
        _assert_like(model, naive)
    assert [(one.step, one.pattern) for one in dynamic.statistics[::2]] == seen
    assert f"{last}, mode" in repr(model[0])


def test_scores_and_methods() -> None:
    model, optimizer = _sparse()

    def score(name: str, weight: Any) -> Any:
        return (weight + (1 if name == "0" else 2)).abs()

    DynamicMask(every=1, score=score, method="greedy").attach(model, optimizer)
    _train(model, optimizer, 0, 1)
    for name, shift in (("0", 1), ("2", 2)):
        values = (dense_weight(model[int(name)]).detach() + shift).numpy()
        expected = tnm.transposable_mask(values, 2, 4, method="greedy")
        assert (masks(model)[name].numpy() == expected).all()


def test_statistics_are_records() -> None:
    model, optimizer = _sparse()
    dynamic = DynamicMask(every=2).attach(model, optimizer)
    _train(model, optimizer, 0, 3)
    before = masks(model)["0"]
    _train(model, optimizer, 3, 4)
    record = dynamic.statistics[2]
    weight, mask = dense_weight(model[0]).detach(), masks(model)["0"]
    assert (record.step, record.layer, record.pattern) == (4, "0", "2:4")
    assert record.sad == int((mask != before).sum())
    assert record.flip_rate == record.sad / mask.numel()
    assert record.density == 0.5
    retained = float(weight.abs()[mask].sum() / weight.abs().sum())
    assert record.retained == pytest.approx(retained, rel=1e-12)
    records = dynamic.to_records()
    assert records[2]["retained"] == record.retained
    assert all(type(value) in (int, float, str) for one in records for value in one.values())

    model, optimizer = _sparse()
    silent = DynamicMask(every=1, statistics=False).attach(model, optimizer)
    _train(model, optimizer, 0, 2)
    assert silent.statistics == []


def test_accumulated_gradients_are_one_step() -> None:
    """Four micro-batches, one optimizer step: one count, one decay, one refresh."""
    results = []
    for parts in (1, 4):
        model, optimizer = _sparse()
        dynamic = DynamicMask(every=2).attach(model, optimizer)
        SRSTE(decay=0.3).attach(model, optimizer)
        for step in range(4):
            optimizer.zero_grad()
            for part in batch(step).chunk(parts):
                (loss_of(model(part)) / parts).backward()
            optimizer.step()
        assert dynamic.steps == 4
        results.append([p.detach().clone() for p in model.parameters()])
        results[-1] += list(masks(model).values())
    for one, four in zip(*results, strict=True):
        torch.testing.assert_close(one, four, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["plain", "fused", "unscaled"])
def test_loss_scaling(kind: str) -> None:
    """The same training with and without a scaler; a step that it skips changes nothing."""
    results = []
    for scaled in (False, True):
        model, _ = _sparse(dtype=torch.float32)
        optimizer = torch.optim.SGD(model.parameters(), lr=LR, fused=kind == "fused")
        dynamic = DynamicMask(every=2).attach(model, optimizer)
        refined = SRSTE(decay=0.3).attach(model, optimizer)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=scaled)
        for step in range(5):
            optimizer.zero_grad()
            scaler.scale(loss_of(model(batch(step, torch.float32)))).backward()
            if kind == "unscaled":
                scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
            if step == 2 and scaled:
                before = copy.deepcopy(model.state_dict())
                scaler.scale(model(batch(step, torch.float32)).sum() * float("inf")).backward()
                scaler.step(optimizer)
                scaler.update(1024.0)
                assert (dynamic.steps, refined.steps) == (3, 3)
                for name, value in model.state_dict().items():
                    assert torch.equal(value, before[name]), name
        assert (dynamic.steps, refined.steps) == (5, 5)
        results.append([p.detach().clone() for p in model.parameters()])
        results[-1] += list(masks(model).values())
    for plain, other in zip(*results, strict=True):
        torch.testing.assert_close(plain, other, rtol=1e-5, atol=1e-7)


def test_backward_form_is_divided_by_loss_scaling() -> None:
    """The paper's form, as documented: what scaling does to it."""
    model, optimizer = _sparse()
    SRSTE(decay=0.3, form="backward").attach(model, optimizer)
    weight, mask = dense_weight(model[0]), masks(model)["0"]
    gradients = []
    for scale in (1.0, 4.0):
        model.zero_grad()
        (loss_of(model(batch(0))) * scale).backward()
        gradients.append(weight.grad / scale)
    term = 0.3 * torch.where(mask, 0.0, weight.detach())
    torch.testing.assert_close(gradients[0] - gradients[1], term * 0.75)


@pytest.mark.parametrize("load_first", [False, True])
def test_resuming_is_exact(load_first: bool) -> None:
    """State through a file, loaded before or after attaching; every bit as without a stop."""

    def build() -> tuple[Any, Any, list[Any]]:
        model, _ = _sparse("4:8", torch.float32)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
        schedule = {0: "4:8", 5: "2:4", 9: "dense", 10: "2:4"}
        return (
            model,
            optimizer,
            [
                DynamicMask(every=2, schedule=schedule, freeze_from=12),
                SRSTE(0.1, form="decoupled"),
            ],
        )

    for stop in (3, 6, 9, 10, 13):
        model, optimizer, hooks = build()
        for hook in hooks:
            hook.attach(model, optimizer)
        _train(model, optimizer, 0, stop)
        file = io.BytesIO()
        torch.save([one.state_dict() for one in (model, optimizer, *hooks)], file)
        _train(model, optimizer, stop, 15)

        file.seek(0)
        states = torch.load(file, weights_only=True)
        other, other_optimizer, other_hooks = build()
        parts = [other, other_optimizer, *other_hooks]
        if not load_first:
            for hook in other_hooks:
                hook.attach(other, other_optimizer)
        for part, state in zip(parts, states, strict=True):
            part.load_state_dict(state)
        if load_first:
            for hook in other_hooks:
                hook.attach(other, other_optimizer)
        _train(other, other_optimizer, stop, 15)
        for name, value in model.state_dict().items():
            assert torch.equal(other.state_dict()[name], value), (stop, name)


def test_compiled_training_is_eager_training() -> None:
    """Bit for bit, over refreshes and a change of phase, in one graph per phase."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    results = []
    for compiled in (False, True):
        model, optimizer = _sparse(dtype=torch.float32)
        run = torch.compile(model, fullgraph=True, backend="aot_eager") if compiled else model
        DynamicMask(every=2, freeze_from=6).attach(run, optimizer)
        SRSTE(decay=0.1).attach(run, optimizer)
        _train(run, optimizer, 0, 9)
        results.append(model.state_dict())
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2
    for name, value in results[0].items():
        assert torch.equal(results[1][name], value), name
    torch._dynamo.reset()


def test_detaching() -> None:
    model, optimizer = _sparse()
    dynamic = DynamicMask(every=1, dense_from=1).attach(model, optimizer)
    refined = SRSTE(0.1, form="backward").attach(model, optimizer)
    _train(model, optimizer, 0, 2)
    before = masks(model)
    for hook in (dynamic, refined):
        assert hook.is_attached
        masked = pytest.warns(UserWarning, match="layer '0' and 1 more are dense")
        with masked if hook is dynamic else nullcontext():
            hook.detach()
        assert not hook.is_attached
    _train(model, optimizer, 2, 4)
    assert (dynamic.steps, refined.steps) == (2, 2)
    model.zero_grad()
    loss_of(model(batch(0))).backward()
    for name, mask in before.items():
        assert torch.equal(masks(model)[name], mask)
        assert not dense_weight(model[int(name)]).grad[~mask].any()
    StaticMask().attach(model, optimizer).detach()
    remove_sparsity_(model)


def test_weights_of_other_optimizers_are_left_alone() -> None:
    model, _ = _sparse()
    first, second = (torch.optim.SGD(model[i].parameters(), lr=LR) for i in (0, 2))
    before = masks(model)["2"]
    with torch.no_grad():
        dense_weight(model[2]).copy_(torch.randn(8, 24))
    dynamic = DynamicMask(every=1).attach(model, first)
    DynamicMask(every=1).attach(model, second)
    _train(model, first, 0, 1)
    assert {record.layer for record in dynamic.statistics} == {"0"}
    assert torch.equal(masks(model)["2"], before)


def test_fixed_masks_end_dense_from_zero() -> None:
    """Weights that were pruned grow again from zero, not from what they once were."""
    model, optimizer = _sparse()
    naive = NaiveTraining(perceptron(dtype=torch.float64), "2:4", LR)
    DynamicMask(every=9, freeze_from=2, dense_from=5).attach(model, optimizer)
    for step in range(8):
        _train(model, optimizer, step, step + 1)
        fixed = 2 <= step < 5
        naive.step(batch(step), leak=float(step >= 5), straight_through=not fixed)
        if step + 1 == 2:
            naive.refresh()
        if step + 1 == 5:
            kept = zip(naive.weights, naive.masks, strict=True)
            naive.weights = [torch.where(mask, weight, 0.0) for weight, mask in kept]
        _assert_like(model, naive)
    weights = dense_state_dict(model)
    assert weights["0.weight"].count_nonzero() == weights["0.weight"].numel()
    with pytest.warns(UserWarning, match="layer '0' and 1 more are dense .* dense_state_dict"):
        remove_sparsity_(model)
