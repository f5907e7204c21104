"""Distilling a pruned model towards the dense one."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tnm_core as tnm
from tests.torch.networks import TokenStack, token_stack
from tests.torch.refusals import assert_refused
from tnm_core.torch import masks, prune_model_, remove_sparsity_
from tnm_core.torch.calibrate import Distillation, DistillStep, PruneStep, Recipe
from tnm_core.torch.calibrate.model import distilling

# Quick, and with masks that leave something to do.
ROUGH = Recipe(search="one_shot", distill_epochs=1, distill_rate=0.01)
BARE = Recipe(search="one_shot")
INSIDE = {"include": "blocks.*"}


class Speaker(TokenStack):
    """Returns logits of four classes, as models of transformers do."""

    def forward(self, tokens: Any, attention_mask: Any = None) -> Any:
        return SimpleNamespace(logits=3 * super().forward(tokens, attention_mask))


def speaker() -> Speaker:
    model = Speaker().double()
    model.load_state_dict(token_stack().state_dict())
    return model


def _tokens(batches: int = 4, seed: int = 1) -> list[Any]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, 50, (6, 9), generator=generator) for _ in range(batches)]


def _probabilities(model: Any, batch: Any) -> np.ndarray:
    logits = model(batch).logits.detach().numpy().reshape(-1, 4)
    parts = np.exp(logits - logits.max(1, keepdims=True))
    return parts / parts.sum(1, keepdims=True)  # type: ignore[no-any-return]


def _divergence(model: Any, dense: Any, data: list[Any]) -> float:
    """Mean Kullback-Leibler divergence of the dense model's classes from the pruned one's."""
    found = []
    for batch in data:
        wanted, given = _probabilities(dense, batch), _probabilities(model, batch)
        found.append(float((wanted * np.log(wanted / given)).sum(1).mean()))
    return sum(found) / len(found)


def test_a_model_comes_closer_to_the_dense_one() -> None:
    dense, plain, model = speaker(), speaker(), speaker()
    more = _tokens(48, seed=2)
    prune_model_(plain, _tokens(), "2:4", BARE, **INSIDE)
    seen: list[Any] = []
    report = prune_model_(
        model, _tokens(), "2:4", ROUGH, distill_batches=more,
        progress=lambda one, done, total: seen.append((one, done, total)), **INSIDE,
    )  # fmt: skip
    told = report.distillation
    assert told is not None
    assert told.kept
    assert told.steps == 45
    measured = [more[8], more[24], more[40]]  # which it has not learnt from
    assert told.error_before == pytest.approx(_divergence(plain, dense, measured))
    assert told.error == pytest.approx(_divergence(model, dense, measured))
    others = _tokens(8, seed=3)
    assert _divergence(model, dense, others) < 0.5 * _divergence(plain, dense, others)
    for name, mask in masks(model).items():
        assert torch.equal(mask, masks(plain)[name])
        assert not bool(model.get_submodule(name).weight[~mask].any())
    for name, value in dense.state_dict().items():
        if "blocks" not in name or "norm" in name:
            assert torch.equal(model.state_dict()[name], value)
    assert all(one.requires_grad and one.grad is None for one in model.parameters())
    steps = [one for one, done, total in seen if isinstance(one, DistillStep)]
    assert [one.step for one in steps] == list(range(1, 46))
    assert {one.steps for one in steps} == {45}
    assert steps[0].error == pytest.approx(_divergence(plain, dense, more[:1]))
    assert seen[-1] == (told, 4, 4)
    assert str(report).splitlines()[-1].startswith("distilled in 45 steps, ")
    assert report.seconds >= told.seconds + sum(layer.seconds for layer in report.pruned)


def test_the_first_step_goes_down_the_gradient() -> None:
    """Adam's first step is the rate against the sign, in units of each weight's mean square."""
    dense, plain, model = speaker(), speaker(), speaker()
    (batch,) = _tokens(1)
    prune_model_(plain, [batch], "2:4", BARE, **INSIDE)
    kept = masks(plain)
    remove_sparsity_(plain)
    recipe = Recipe(search="one_shot", distill_epochs=1, distill_rate=1e-4)
    told = prune_model_(model, [batch], "2:4", recipe, **INSIDE).distillation
    assert told is not None
    assert told.kept
    assert told.steps == 1
    remove_sparsity_(model)
    off = torch.from_numpy(_probabilities(plain, batch) - _probabilities(dense, batch))
    plain(batch).logits.view(-1, 4).backward(off / len(off))
    for name, mask in kept.items():
        layer = plain.get_submodule(name)
        size = layer.weight[mask].square().mean().sqrt()
        step = model.get_submodule(name).weight - layer.weight
        down = -1e-4 * size * layer.weight.grad.sign() * mask
        clear = layer.weight.grad.abs() > 1e-2 * layer.weight.grad.abs().max()
        torch.testing.assert_close(step[clear], down[clear], rtol=1e-3, atol=0.0)
        assert float((clear & mask).double().mean()) > 0.3


def test_the_rate_rises_and_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    step, rates = torch.optim.Adam.step, []

    def spy(self: Any) -> Any:
        rates.append(self.param_groups[0]["lr"] / self.param_groups[0]["size"])
        return step(self)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    recipe = Recipe(search="one_shot", distill_epochs=3, distill_rate=0.01)
    prune_model_(speaker(), _tokens(), "2:4", recipe, distill_batches=_tokens(11), **INSIDE)
    assert len(rates) == 30
    assert rates[:3] == sorted(rates[:3])
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert 0.9 * recipe.distill_rate < max(rates) <= recipe.distill_rate
    assert rates[-1] < 0.05 * recipe.distill_rate


def test_other_outputs_by_squared_error() -> None:
    dense, plain, model = token_stack(), token_stack(), token_stack()
    (batch,) = _tokens(1)
    prune_model_(plain, [batch], "2:4", BARE)
    recipe = Recipe(search="one_shot", distill_epochs=20, distill_rate=0.01)
    told = prune_model_(model, [batch], "2:4", recipe).distillation
    assert told is not None

    def error(one: Any) -> float:
        wanted, given = dense(batch).detach(), one(batch).detach()
        return float((given - wanted).square().sum() / (wanted - wanted.mean()).square().sum())

    assert told.error_before == pytest.approx(error(plain))
    assert told.error == pytest.approx(error(model))
    assert told.error < 0.7 * told.error_before
    # The same outputs as logits, if the recipe says so.
    recipe = Recipe(search="one_shot", distill_epochs=1, distill_loss="divergence")
    told = prune_model_(token_stack(), [batch], "2:4", recipe).distillation
    assert told is not None
    wanted, given = (one(batch).detach().view(-1, 4).softmax(1) for one in (dense, plain))
    divergence = float((wanted * (wanted / given).log()).sum(1).mean())
    assert told.error_before == pytest.approx(divergence)


def test_padding_does_not_count() -> None:
    plain, masked = speaker(), speaker()
    padded = []
    for batch in _tokens():
        more = torch.full((len(batch), 5), 7)
        kept = torch.cat((torch.ones_like(batch), torch.zeros_like(more)), 1)
        padded.append({"tokens": torch.cat((batch, more), 1), "attention_mask": kept})
    prune_model_(plain, _tokens(), "2:4", ROUGH, **INSIDE)
    prune_model_(masked, padded, "2:4", ROUGH, **INSIDE)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(masked.state_dict()[name], value, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("rate", [1e3, 1e200])
def test_a_rate_that_is_too_high_is_undone_and_told(rate: float) -> None:
    plain, model = speaker(), speaker()
    prune_model_(plain, _tokens(), "2:4", BARE, **INSIDE)
    recipe = Recipe(search="one_shot", distill_epochs=1, distill_rate=rate)
    report = prune_model_(model, _tokens(), "2:4", recipe, **INSIDE)
    assert report.distillation is not None
    assert not report.distillation.kept
    assert "undone, since it did not fall" in str(report)
    for name, value in plain.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dtypes(dtype: torch.dtype) -> None:
    """Steps that are too small for bfloat16 add up."""
    model = speaker().to(dtype)
    recipe = Recipe(search="one_shot", distill_epochs=10, distill_rate=1e-3)
    told = prune_model_(model, _tokens(8), "2:4", recipe, **INSIDE).distillation
    assert told is not None
    assert told.error < 0.8 * told.error_before
    assert {one.dtype for one in model.parameters()} == {dtype}
    for name, mask in masks(model).items():
        assert not bool(model.get_submodule(name).weight[~mask].any())


def test_dense_copies_in_a_file_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from tnm_core.torch.calibrate.model import dense_reference

    monkeypatch.setattr(dense_reference, "LEAST_BYTES", 1)
    test_a_rate_that_is_too_high_is_undone_and_told(1e3)


def test_an_interrupt_changes_nothing() -> None:
    model, fresh = speaker(), speaker().state_dict()

    def stop(one: Any, *_: Any) -> None:
        if isinstance(one, DistillStep) and one.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune_model_(model, _tokens(), "2:4", ROUGH, progress=stop, **INSIDE)
    assert all(torch.equal(value, fresh[name]) for name, value in model.state_dict().items())
    assert all(one.grad is None and one.requires_grad for one in model.parameters())
    assert not masks(model)


class Steps:
    """Keeps the steps of a run in memory."""

    def __init__(self, steps: dict[int, PruneStep]) -> None:
        self.steps = steps

    def recall(self, number: int) -> PruneStep | None:
        return self.steps.get(number)

    def keep(self, number: int, step: PruneStep) -> None:
        changed = {name: one.detach().clone() for name, one in step.parameters.items()}
        self.steps[number] = PruneStep(
            changed, step.layers, step.masks, step.blocks, step.untuned, step.distillation
        )


def test_a_kept_distillation_is_not_repeated() -> None:
    first, second, third = speaker(), speaker(), speaker()
    kept: dict[int, PruneStep] = {}
    report = prune_model_(first, _tokens(), "2:4", ROUGH, journal=Steps(kept), **INSIDE)
    seen: list[Any] = []
    tell = {"progress": lambda one, *_: seen.append(one)}
    again = prune_model_(second, _tokens(), "2:4", ROUGH, journal=Steps(kept), **tell, **INSIDE)
    assert again.distillation == report.distillation
    assert not any(isinstance(one, DistillStep) for one in seen)
    assert isinstance(seen[-1], Distillation)
    del kept[max(kept)]
    prune_model_(third, _tokens(), "2:4", ROUGH, journal=Steps(kept), **INSIDE)
    for name, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], value)
        assert torch.equal(third.state_dict()[name], value)


class Experts(nn.Module):
    """Two matrices in one tensor, of which no Linear knows."""

    def __init__(self) -> None:
        super().__init__()
        self.bank = nn.Parameter(torch.randn(2, 16, 16, dtype=torch.float64) / 4)

    def forward(self, rows: Any) -> Any:
        for matrix in self.bank:
            rows = rows + torch.tanh(nn.functional.linear(rows, matrix))
        return rows


def test_matrices_that_no_layer_holds() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Experts())
    data = [torch.randn(40, 16, dtype=torch.float64) for _ in range(12)]
    report = prune_model_(model, data, "2:4", ROUGH, include="*")
    assert [layer.name for layer in report.pruned] == ["0.bank"]
    assert report.distillation is not None
    assert report.distillation.kept
    remove_sparsity_(model)
    for matrix in model[0].bank:
        assert tnm.is_transposable((matrix != 0).detach().numpy(), 2, 4)


def test_other_samples_in_each_pass_do_not_change_what_measures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A loader that shuffles gives others at the places of those that measure."""
    samples = torch.cat(_tokens(8))
    loader = torch.utils.data.DataLoader(samples, batch_size=6, shuffle=True)
    seen: list[list[Any]] = []
    measure = distilling._PairedOutputs.measure

    def spied(self: Any, held_out: list[Any]) -> float:
        seen.append([one.clone() for one in held_out])
        return measure(self, held_out)

    monkeypatch.setattr(distilling._PairedOutputs, "measure", spied)
    prune_model_(speaker(), _tokens(), "2:4", ROUGH, distill_batches=loader, **INSIDE)
    before, after = seen
    assert len(before) == 1
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))


def test_gradients_are_in_the_layout_of_their_weights() -> None:
    """Convolutions of images with channels last give them with channels last."""
    torch.manual_seed(0)
    dense = nn.Sequential(nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3))
    data = [torch.randn(4, 16, 8, 8) for _ in range(24)]
    last = [one.contiguous(memory_format=torch.channels_last) for one in data]
    found = []
    for given in (data, last):
        model = copy.deepcopy(dense)
        report = prune_model_(model, given, "2:4", replace(ROUGH, distill_rate=0.003))
        assert report.distillation is not None
        assert report.distillation.kept
        remove_sparsity_(model)
        found.append(model.state_dict())
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-3, atol=1e-4)


class Broken(Speaker):
    """Its outputs are not what distilling needs."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, tokens: Any, attention_mask: Any = None) -> Any:
        out = super().forward(tokens, attention_mask).logits
        if self.how == "nan":
            return torch.where(out > 0, out, math.nan)
        return out.argmax(-1) if self.how == "integers" else out.detach()


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("nan", "the dense model returns NaN or infinite values"),
        ("integers", "the model returns a tensor of torch.int64"),
        ("detached", "the model computes without gradients"),
    ],
)
def test_outputs_that_do_not_do(how: str, told: str) -> None:
    torch.manual_seed(0)
    model = Broken(how)
    before = copy.deepcopy(model.state_dict())
    seen: list[Any] = []
    assert_refused(
        lambda: prune_model_(model, _tokens(), "2:4", ROUGH,
                             progress=lambda *one: seen.append(one), **INSIDE),
        ValueError, told,
    )  # fmt: skip
    assert not seen  # no layer was pruned in vain
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_bad_arguments() -> None:
    def call(recipe: Any, batches: Any) -> Any:
        return prune_model_(speaker(), _tokens(), "2:4", recipe, distill_batches=batches, **INSIDE)

    assert_refused(lambda: call("best", _tokens()), ValueError, "distill_batches", "distilled")
    assert_refused(lambda: call("distilled", iter(_tokens())), TypeError, "distill_batches is a")
    assert_refused(lambda: call("distilled", []), ValueError, "no batch to distill with")
    for given in ({"distill_epochs": -1}, {"distill_rate": 0.0}, {"distill_loss": "kl"}):
        assert_refused(lambda given=given: Recipe(**given), ValueError, f"{next(iter(given))} is")
