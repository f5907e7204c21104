"""Tuning blocks after pruning."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

import tnm_core as tnm
from tests.torch.networks import ResidualBlock, TokenStack, token_stack
from tests.torch.refusals import assert_refused
from tnm_core.torch import masks, prune_model_, remove_sparsity_
from tnm_core.torch.calibrate import Recipe, TunedBlock
from tnm_core.torch.calibrate.data import Run
from tnm_core.torch.calibrate.model.block_outputs import BlockOutputs
from tnm_core.torch.calibrate.model.tunable import tunable_parameters
from tnm_core.torch.calibrate.model.tuning import tune_block_

EPOCHS, RATE = 3, 0.02
# Quick, and with masks that leave something to do.
ROUGH = Recipe(search="one_shot", tune_epochs=EPOCHS, tune_rate=RATE)


def _tokens(seed: int = 1, batches: int = 4) -> list[Any]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, 50, (6, 9), generator=generator) for _ in range(batches)]


def _padded(tokens: Any, junk: int) -> dict[str, Any]:
    """The same tokens, and some more that are padding."""
    more = torch.full((len(tokens), 5), junk)
    kept = torch.cat((torch.ones_like(tokens), torch.zeros_like(more)), 1)
    return {"tokens": torch.cat((tokens, more), 1), "attention_mask": kept}


@torch.no_grad()
def _error(model: Any, dense: Any, data: list[Any]) -> float:
    wanted = torch.cat([dense(batch) for batch in data])
    got = torch.cat([model(batch) for batch in data])
    return float((got - wanted).square().sum() / (wanted - wanted.mean()).square().sum())


def _pruned_block() -> tuple[ResidualBlock, ResidualBlock, dict[str, Any], list[Any], list[Any]]:
    """Dense and pruned block, masks, and inputs of each."""
    torch.manual_seed(0)
    dense = ResidualBlock().double().requires_grad_(False)
    pruned = copy.deepcopy(dense)
    kept = {}
    for name in ("up", "down"):
        weight = pruned.get_submodule(name).weight
        kept[name] = torch.from_numpy(tnm.transposable_mask(weight.abs().numpy(), 2, 4))
        weight.mul_(kept[name])
    inputs = [torch.randn(5, 7, ResidualBlock.WIDTH, dtype=torch.float64) for _ in range(3)]
    return dense, pruned, kept, inputs, [x + 0.1 * torch.randn_like(x) for x in inputs]


def _runs(dense: Any, pruned: Any, inputs: list[Any], others: list[Any]) -> list[Run]:
    return [
        Run(lambda x=x: dense(x), lambda z=z: pruned(z), None)
        for x, z in zip(inputs, others, strict=True)
    ]


def test_the_first_step_goes_down_the_gradient() -> None:
    """Adam's first step is the rate against the sign of the gradient, in units of each tensor."""
    dense, pruned, kept, inputs, others = _pruned_block()
    before = {name: one.clone() for name, one in pruned.named_parameters()}
    copied = copy.deepcopy(pruned).requires_grad_(True)
    (copied(others[0]) - dense(inputs[0])).square().sum().backward()
    runs = _runs(dense, pruned, inputs[:1], others[:1])
    told = tune_block_(pruned, "", runs, kept, epochs=1, rate=1e-4)
    assert told.epoch == 1
    for name, parameter in copied.named_parameters():
        mask = kept.get(name.removesuffix(".weight"), torch.ones_like(parameter, dtype=torch.bool))
        size = before[name][mask].square().mean().sqrt()
        if name == "norm.weight":
            size = before[name].abs()
        elif name.endswith("bias"):
            weight = before[name.replace("bias", "weight")]
            there = kept.get(name.removesuffix(".bias"), torch.ones_like(weight, dtype=torch.bool))
            size = torch.maximum(size, weight[there].square().mean().sqrt())
        step = pruned.get_parameter(name) - before[name]
        down = -1e-4 * size * parameter.grad.sign() * mask
        # Adam's epsilon shortens steps where next to nothing is to be gained.
        clear = parameter.grad.abs() > 1e-2 * parameter.grad.abs().max()
        torch.testing.assert_close(step[clear], down[clear], rtol=1e-3, atol=0.0)
        assert bool((step * down >= 0).all())
        assert bool((step.abs() <= down.abs() * (1 + 1e-6)).all())
        assert float((clear & mask).double().mean()) > 0.4


def test_the_errors_told_are_those_of_the_outputs() -> None:
    dense, pruned, kept, inputs, others = _pruned_block()

    def error() -> float:
        wanted = torch.cat([dense(x) for x in inputs]).detach()
        got = torch.cat([pruned(x) for x in others]).detach()
        return float((got - wanted).square().sum() / (wanted - wanted.mean()).square().sum())

    before = error()
    runs = _runs(dense, pruned, inputs, others)
    told = tune_block_(pruned, "", runs, kept, epochs=EPOCHS, rate=RATE)
    assert told.epoch == EPOCHS
    assert told.error_before == pytest.approx(before, rel=1e-8)
    assert told.error == pytest.approx(error(), rel=1e-8)
    assert told.error < 0.9 * told.error_before
    for name, mask in kept.items():
        assert not bool(pruned.get_submodule(name).weight[~mask].any())


def test_a_linear_layer_comes_to_its_least_squares() -> None:
    torch.manual_seed(0)
    dense = nn.Sequential(nn.Linear(12, 8)).double().requires_grad_(False)
    pruned = copy.deepcopy(dense)
    mask = torch.from_numpy(tnm.transposable_mask(pruned[0].weight.abs().numpy(), 2, 4))
    pruned[0].weight.mul_(mask)
    mix = torch.randn(12, 12, dtype=torch.float64)
    inputs = [torch.randn(50, 12, dtype=torch.float64) @ mix + 1.0 for _ in range(4)]
    x, y = torch.cat(inputs), dense(torch.cat(inputs))
    rows = torch.cat((x, torch.ones(len(x), 1, dtype=torch.float64)), 1)
    least = 0.0
    for output, own in enumerate(mask):
        columns = torch.cat((own, torch.ones(1, dtype=torch.bool)))
        solved = torch.linalg.lstsq(rows[:, columns], y[:, output, None]).solution
        least += float((rows[:, columns] @ solved - y[:, output, None]).square().sum())
    least /= float((y - y.mean()).square().sum())
    runs = _runs(dense, pruned, inputs, inputs)
    told = tune_block_(pruned, "", runs, {"0": mask}, epochs=200, rate=RATE)
    assert least < 0.5 * told.error_before
    assert least <= told.error < 1.02 * least


def test_the_rate_rises_and_falls(monkeypatch: Any) -> None:
    dense, pruned, kept, inputs, others = _pruned_block()
    step, rates = torch.optim.Adam.step, []

    def spy(self: Any) -> Any:
        rates.append(self.param_groups[0]["lr"])
        return step(self)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    runs = _runs(dense, pruned, inputs, others)
    tune_block_(pruned, "", runs, kept, epochs=10, rate=RATE)
    assert len(rates) == 10 * len(inputs)
    highest = rates.index(max(rates))
    assert rates[: highest + 1] == sorted(rates[: highest + 1])
    assert rates[highest:] == sorted(rates[highest:], reverse=True)
    assert 0 < highest < 5
    assert 0.9 * RATE < max(rates) <= RATE
    assert rates[-1] < 0.05 * RATE


def test_norms_are_left_alone_if_so_wished() -> None:
    dense, pruned, kept, inputs, others = _pruned_block()
    before = copy.deepcopy(pruned.state_dict())
    runs = _runs(dense, pruned, inputs, others)
    tune_block_(pruned, "", runs, kept, epochs=1, rate=RATE, norms=False)
    changed = {n for n, value in pruned.named_parameters() if not torch.equal(value, before[n])}
    assert changed == {"up.weight", "up.bias", "down.weight", "down.bias"}


def test_features_that_are_switched_off_stay_so() -> None:
    dense, pruned, kept, inputs, others = _pruned_block()
    for block in (dense, pruned):
        block.norm.weight[3] = 1e-9
        block.norm.weight[4] = 0.0
    runs = _runs(dense, pruned, inputs, others)
    told = tune_block_(pruned, "", runs, kept, epochs=EPOCHS, rate=RATE)
    assert told.error < told.error_before
    assert float(pruned.norm.weight[3]) == pytest.approx(1e-9, rel=0.3)
    assert float(pruned.norm.weight[4]) == 0.0


def test_the_best_epoch_counts(monkeypatch: Any) -> None:
    """Errors rise after the second epoch; what was best is written, or nothing at all."""
    dense, pruned, kept, inputs, others = _pruned_block()
    before = copy.deepcopy(pruned.state_dict())
    measure = BlockOutputs.error
    seen: list[dict[str, Any]] = []
    pretended: list[float] = []

    def error(self: Any, values: dict[str, Any]) -> float:
        measure(self, values)
        seen.append({name: value.clone() for name, value in values.items()})
        return pretended[len(seen) - 1]

    monkeypatch.setattr(BlockOutputs, "error", error)
    runs = _runs(dense, pruned, inputs, others)
    for pretended, epoch in (
        ([0.5, 0.5, 0.6, 0.7], 0),
        ([0.5, 0.6, math.nan], 0),
        ([0.5, 0.4, 0.3, 0.4], 2),
    ):
        seen.clear()
        told = tune_block_(pruned, "", runs, kept, epochs=3, rate=RATE)
        assert (told.epoch, told.error) == (epoch, min(pretended))
        assert len(seen) == len(pretended)
        if not epoch:
            assert all(torch.equal(one, before[n]) for n, one in pruned.state_dict().items())
    for name, value in seen[2].items():
        assert torch.equal(pruned.get_parameter(name), value)


def test_a_rate_that_is_too_high_changes_nothing() -> None:
    dense, pruned, kept, inputs, others = _pruned_block()
    before = copy.deepcopy(pruned.state_dict())
    runs = _runs(dense, pruned, inputs, others)
    told = tune_block_(pruned, "", runs, kept, epochs=2, rate=1e3)
    assert (told.epoch, told.error) == (0, told.error_before)
    assert all(torch.equal(one, before[n]) for n, one in pruned.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_dtypes(dtype: Any) -> None:
    dense, pruned, kept, inputs, others = _pruned_block()
    for block in (dense, pruned):
        block.to(dtype)
    runs = _runs(dense, pruned, [x.to(dtype) for x in inputs], [x.to(dtype) for x in others])
    told = tune_block_(pruned, "", runs, kept, epochs=EPOCHS, rate=RATE)
    assert told.error < 0.9 * told.error_before
    assert {one.dtype for one in pruned.parameters()} == {dtype}
    for name, mask in kept.items():
        assert not bool(pruned.get_submodule(name).weight[~mask].any())


def test_blocks_are_tuned_when_their_layers_are_pruned() -> None:
    seen: list[tuple[str, int]] = []
    plain, model = token_stack(), token_stack()
    dense = copy.deepcopy(model)
    inside = {"include": "blocks.*"}
    prune_model_(plain, _tokens(), "2:4", Recipe(search="one_shot"), **inside)
    report = prune_model_(
        model, _tokens(), "2:4", ROUGH, progress=lambda one, done, _: seen.append((one.name, done)),
        **inside,
    )  # fmt: skip
    assert seen == [
        ("blocks.0.up", 1), ("blocks.0.down", 2), ("blocks.0", 2),
        ("blocks.1.up", 3), ("blocks.1.down", 4), ("blocks.1", 4),
    ]  # fmt: skip
    assert [block.name for block in report.blocks] == ["blocks.0", "blocks.1"]
    assert all(block.error < block.error_before for block in report.blocks)
    assert _error(model, dense, _tokens()) < 0.9 * _error(plain, dense, _tokens())
    assert torch.equal(model.embedding.weight, dense.embedding.weight)
    assert not torch.equal(model.blocks[0].norm.weight, dense.blocks[0].norm.weight)
    for name, mask in masks(model).items():
        assert tnm.is_transposable(mask.numpy(), 2, 4)
        assert not bool(model.get_submodule(name).weight[~mask].any())
    # The first block by itself, with the weights that the layers have before.
    first = token_stack()
    prune_model_(first, _tokens(), "2:4", Recipe(search="one_shot"), include="blocks.0.*")
    kept = {name.removeprefix("blocks.0."): one for name, one in masks(first).items()}
    remove_sparsity_(first)
    block = first.blocks[0]
    inputs = [first.embedding(batch).detach() for batch in _tokens()]
    runs = _runs(dense.blocks[0], block, inputs, inputs)
    tune_block_(block, "", runs, kept, epochs=EPOCHS, rate=RATE)
    torch.testing.assert_close(model.blocks[0].down.weight, block.down.weight)
    torch.testing.assert_close(model.blocks[0].norm.bias, block.norm.bias)


def test_padding_does_not_count() -> None:
    plain, masked = token_stack(), token_stack()
    prune_model_(plain, _tokens(), "2:4", ROUGH)
    prune_model_(masked, [_padded(batch, 7 + i) for i, batch in enumerate(_tokens())], "2:4", ROUGH)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(masked.state_dict()[name], value, rtol=1e-6, atol=1e-8)


def test_twice_the_same() -> None:
    models = [token_stack(), token_stack()]
    for seed, model in enumerate(models):
        torch.manual_seed(seed)
        prune_model_(model, _tokens(), "2:4", ROUGH)
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


class Detour(nn.Module):
    """Blocks that are no chain, and outputs of several kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock() for _ in range(2))
        self.last = nn.Linear(ResidualBlock.WIDTH, 4)

    def forward(self, stream: Any) -> dict[str, Any]:
        first = self.blocks[0](stream)
        return {"scores": self.last(self.blocks[1](first + stream)), "hidden": first}


def test_a_model_that_is_no_chain_is_one_block(capsys: Any) -> None:
    torch.manual_seed(0)
    model = Detour().double()
    dense, plain = copy.deepcopy(model), copy.deepcopy(model)
    data = [torch.randn(6, 8, ResidualBlock.WIDTH, dtype=torch.float64) for _ in range(4)]
    prune_model_(plain, data, "2:4", Recipe(search="one_shot"))
    report = prune_model_(model, data, "2:4", ROUGH, progress=True)
    assert [block.name for block in report.blocks] == [""]
    error = {name: _error(lambda x, one=one: one(x)["scores"], lambda x: dense(x)["scores"], data)
             for name, one in (("plain", plain), ("tuned", model))}  # fmt: skip
    assert report.blocks[0].error_before == pytest.approx(error["plain"])
    assert report.blocks[0].error == pytest.approx(error["tuned"])
    assert error["tuned"] < 0.9 * error["plain"]
    assert "[5/5] (the model): tuned, error 0." in capsys.readouterr().err
    assert str(report).splitlines()[-1].startswith("(the model)  0.")
    assert report.seconds > sum(layer.seconds for layer in report.pruned)


def test_a_chain_of_bare_layers_is_one_block() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16), nn.GELU())
    data = [torch.randn(20, 16) for _ in range(3)]
    report = prune_model_(model, data, "2:4", ROUGH)
    assert [block.name for block in report.blocks] == [""]
    assert report.blocks[0].error < report.blocks[0].error_before


def test_what_is_used_elsewhere_is_not_tuned() -> None:
    model = token_stack()
    layers = [f"blocks.{i}.{name}" for i in (0, 1) for name in ("up", "down")]
    own = {f"blocks.0.{name}.{kind}" for name in ("up", "down") for kind in ("weight", "bias")}
    norm = {"blocks.0.norm.weight", "blocks.0.norm.bias"}
    assert set(tunable_parameters(model, "blocks.0", layers, norms=False)) == own
    assert set(tunable_parameters(model, "blocks.0", layers, norms=True)) == own | norm
    model.blocks[1].norm = model.blocks[0].norm
    assert set(tunable_parameters(model, "blocks.0", layers, norms=True)) == own
    for one in (model.blocks[1].up, model.blocks[1].down):
        one.bias = None
        one.register_parameter("weight", model.head.weight)
    assert not tunable_parameters(model, "blocks.1", layers, norms=True)
    told = tune_block_(model, "blocks.1", [], {}, epochs=2, rate=RATE)
    assert (told.epoch, told.error_before) == (0, told.error)


def test_the_whole_model_uses_nothing_elsewhere() -> None:
    model = token_stack()
    layers = [f"blocks.{i}.{name}" for i in (0, 1) for name in ("up", "down")]
    own = {f"blocks.0.{name}.{kind}" for name in ("up", "down") for kind in ("weight", "bias")}
    norm = {"blocks.0.norm.weight", "blocks.0.norm.bias"}
    model.blocks[1].norm = model.blocks[0].norm
    assert set(tunable_parameters(model, "", layers, norms=True)) == {
        *own, *norm, *(name.replace("0", "1") for name in own)
    }  # fmt: skip


def test_an_interrupt_changes_nothing(monkeypatch: Any) -> None:
    model, fresh = token_stack(), token_stack().state_dict()
    step = torch.optim.Adam.step
    count = 0

    def interrupted(self: Any) -> Any:
        nonlocal count
        count += 1
        if count == EPOCHS * 4 + 3:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(torch.optim.Adam, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prune_model_(model, _tokens(), "2:4", ROUGH)
    assert count == EPOCHS * 4 + 3  # in the second block
    monkeypatch.undo()

    def stop(one: Any, *_: Any) -> None:
        if isinstance(one, TunedBlock) and one.name == "blocks.1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune_model_(model, _tokens(), "2:4", ROUGH, progress=stop)
    assert all(torch.equal(value, fresh[name]) for name, value in model.state_dict().items())
    assert all(one.grad is None and one.requires_grad for one in model.parameters())
    assert not masks(model)


class Broken(TokenStack):
    """The blocks' last output is not what tuning needs."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, tokens: Any, attention_mask: Any = None) -> Any:
        stream = self.embedding(tokens)
        stream = self.blocks[0](stream)
        out = self.blocks[1](stream + self.embedding(tokens))
        if self.how == "nan":
            return torch.where(out > 0, out, math.nan)
        return out.argmax(-1) if self.how == "integers" else out.detach()


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("nan", "the model returns NaN or infinite values"),
        ("integers", "the model returns a tensor of torch.int64"),
        ("detached", "the model computes without gradients"),
    ],
)
def test_outputs_that_cannot_be_tuned(how: str, told: str) -> None:
    torch.manual_seed(0)
    model = Broken(how)
    before = copy.deepcopy(model.state_dict())
    pruned: list[Any] = []
    assert_refused(
        lambda: prune_model_(model, _tokens(), "2:4", ROUGH, exclude="head",
                            progress=lambda *told: pruned.append(told)), ValueError, told
    )  # fmt: skip
    assert not pruned
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    prune_model_(model, _tokens(), "2:4", Recipe(search="one_shot"), exclude="head")


def test_bad_recipes() -> None:
    for given in ({"tune_epochs": -1}, {"tune_rate": 0.0}, {"tune_rate": math.inf}):
        assert_refused(lambda given=given: Recipe(**given), ValueError, f"{next(iter(given))} is")
