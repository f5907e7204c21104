"""Pruning whole models after training."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import nn
from torch.nn import functional

import tnm_core as tnm
from tests.torch.calibrate.networks import ORDER, WIDTH, Network, make_batches, make_network
from tnm_core.selection import Selection
from tnm_core.skip import SkipCode
from tnm_core.torch import masks, prune_model_, remove_sparsity_, sparsify_
from tnm_core.torch.calibrate import RECIPES, RankDeficientWarning, Recipe
from tnm_core.torch.calibrate.data import find_chain
from tnm_core.torch.calibrate.model import prune_layers as pruning


@torch.no_grad()
def _loss(model: nn.Module, dense: nn.Module, data: list[torch.Tensor]) -> float:
    return sum(float((model(b) - dense(b)).square().mean()) for b in data)


# AdaPrune takes seconds for a network of several blocks, and is one recipe at any pattern.
CASES = [
    (pattern, recipe)
    for recipe in RECIPES
    for pattern in ("2:4", "1:4", "4:8")
    if recipe != "adaprune" or pattern == "4:8"
]


@pytest.mark.parametrize(("pattern", "recipe"), CASES)
def test_recipes(pattern: str, recipe: str) -> None:
    model, data = make_network(), make_batches()
    if pattern == "4:8":
        model = nn.Sequential(*(model.blocks[0].gate, nn.ReLU(), model.blocks[0].down)).double()
        data = [torch.randn(40, WIDTH, dtype=torch.float64) for _ in range(3)]
    dense = copy.deepcopy(model).requires_grad_(False)
    report = prune_model_(model, data, pattern, recipe)
    n, m = map(int, pattern.split(":"))
    assert all(module.training for module in model.modules())
    found = masks(model)
    assert set(found) == {layer.name for layer in report.pruned}
    for layer in report.pruned:
        module = model.get_submodule(layer.name)
        assert tnm.is_transposable(found[layer.name].numpy(), n, m)
        assert not bool(module.weight[~found[layer.name]].any())
        assert layer.density == pytest.approx(n / m)
        old = dense.get_submodule(layer.name).weight.abs()
        kept = float((old * found[layer.name]).sum() / old.sum())
        assert layer.retained == pytest.approx(kept, rel=1e-6)
        assert (layer.error is None) == (recipe == "magnitude")
    remove_sparsity_(model)
    assert all(type(module) is not nn.Linear or (module.weight == 0).any()
               for module in model.modules())  # fmt: skip


def test_better_recipes_are_better() -> None:
    loss = dict.fromkeys(("magnitude", "sequential", "best"), 0.0)
    for seed in range(4):
        for recipe in loss:
            model = make_network(seed)
            prune_model_(model, make_batches(batches=6), "2:4", recipe)
            loss[recipe] += _loss(model, make_network(seed), make_batches(seed=2))
    assert loss["best"] < 0.9 * loss["sequential"]
    assert loss["sequential"] < 0.7 * loss["magnitude"]


def test_magnitude_is_sparsify() -> None:
    pruned, sparse = make_network(), make_network()
    prune_model_(pruned, make_batches(), "2:4", "magnitude", exclude="last")
    sparsify_(sparse, "2:4", exclude="last")
    for name, mask in masks(sparse).items():
        assert torch.equal(masks(pruned)[name], mask)
        assert torch.equal(pruned.get_submodule(name).weight, sparse.get_submodule(name).weight)


def _reference(dense: Network, data: list[torch.Tensor], recipe: Recipe) -> Network:
    """Sequential pruning written out for `Network`: every layer from a run of both models."""
    model = copy.deepcopy(dense)
    batch = torch.cat(data)
    for name in ORDER:
        seen = []
        for network in (dense, model):
            kept: dict[str, Any] = {}
            handles = [
                network.get_submodule(one).register_forward_hook(
                    lambda m, a, o, kept=kept, one=one: kept.update({one: (a[0], o)})
                )
                for one in (name, *(f"blocks.{i}" for i in (0, 1)))
            ]
            network(batch)
            for handle in handles:
                handle.remove()
            seen.append(kept)
        target, given = seen[0][name][1], seen[1][name][0]
        if name.endswith("down") and recipe.residual:
            block = name.rpartition(".")[0]
            target = target + seen[0][block][0] - seen[1][block][0]
        layer = model.get_submodule(name)
        x = given.reshape(-1, given.shape[-1]).detach().numpy()
        y = target.reshape(-1, target.shape[-1]).detach().numpy()
        old = layer.weight.detach().numpy().copy()
        own = x @ old.T + layer.bias.detach().numpy()
        y = recipe.alpha * y + (1 - recipe.alpha) * own
        centred = x - x.mean(0)
        damping = recipe.damping * (centred**2).mean()
        score = old**2 * ((centred**2).mean(0) + damping)
        mask = tnm.transposable_mask(score, 2, 4, score="identity")
        new = np.zeros_like(old)
        for row, kept_columns in enumerate(mask):
            pull = np.sqrt(damping * len(x)) * np.eye(old.shape[1])
            matrix = np.vstack((centred, pull))[:, kept_columns]
            right = np.concatenate((y[:, row] - y[:, row].mean(), pull @ old[row]))
            new[row, kept_columns] = np.linalg.lstsq(matrix, right, rcond=None)[0]
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(new))
            layer.bias.copy_(torch.from_numpy(y.mean(0) - new @ x.mean(0)))
    return model


@pytest.mark.parametrize("alpha", [1.0, 0.4])
@pytest.mark.parametrize("residual", [True, False])
def test_sequential_is_the_written_out_one(alpha: float, residual: bool) -> None:
    recipe = Recipe(search="one_shot", alpha=alpha, residual=residual)
    expected = _reference(make_network(), make_batches(), recipe)
    model = make_network()
    prune_model_(model, make_batches(), "2:4", recipe)
    for name in ORDER:
        got, wanted = model.get_submodule(name), expected.get_submodule(name)
        torch.testing.assert_close(got.weight, wanted.weight, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(got.bias, wanted.bias, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "recipe",
    ["best", "least_squares", Recipe(reconstruction="adam", sequential=False)],
    ids=["best", "least squares on dense inputs", "Adam on dense inputs"],
)
def test_blocks_alone_give_what_the_whole_model_gives(monkeypatch: Any, recipe: Any) -> None:
    by_block, whole = make_network(), make_network()
    prune_model_(by_block, make_batches(), "2:4", recipe)
    monkeypatch.setattr(pruning, "find_chain", lambda *_: None)
    prune_model_(whole, make_batches(), "2:4", recipe)
    for name in ORDER:
        torch.testing.assert_close(
            by_block.get_submodule(name).weight, whole.get_submodule(name).weight
        )


def test_blocks_of_a_decoder_get_what_the_pruned_encoder_gives(monkeypatch: Any) -> None:
    """Their chain is run alone, with the arguments that each model has for it."""
    sizes = {"encoder_layers": 1, "decoder_layers": 3, "d_model": WIDTH, "vocab_size": 40}
    wide = {f"{part}_ffn_dim": 32 for part in ("encoder", "decoder")}
    heads = {f"{part}_attention_heads": 2 for part in ("encoder", "decoder")}
    config = transformers.BartConfig(**sizes, **wide, **heads, max_position_embeddings=32)
    torch.manual_seed(0)
    by_block = transformers.BartModel(config).double().eval()
    whole = copy.deepcopy(by_block)
    data = [{"input_ids": torch.randint(3, 40, (4, 12))} for _ in range(3)]
    found = []

    def spied(*given: Any) -> Any:
        found.append(find_chain(*given))
        return found[-1]

    monkeypatch.setattr(pruning, "find_chain", spied)
    prune_model_(by_block, data, "2:4", "sequential")
    assert found[0].blocks == tuple(f"decoder.layers.{index}" for index in range(3))
    monkeypatch.setattr(pruning, "find_chain", lambda *_: None)
    prune_model_(whole, data, "2:4", "sequential")
    for (name, one), two in zip(by_block.named_parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-9, msg=name)


def test_blocks_are_tuned_on_what_the_pruned_model_gives() -> None:
    """Even if the layers were pruned on what the dense model gives."""
    recipe, data = Recipe(sequential=False), make_batches()
    pruned, tuned = make_network(), make_network()
    prune_model_(pruned, data, "2:4", recipe)
    report = prune_model_(tuned, data, "2:4", replace(recipe, tune_epochs=2))
    assert [block.name for block in report.blocks] == ["blocks.0", "blocks.1"]
    tuned.blocks[1] = pruned.blocks[1]  # as it was when its turn came
    outputs = []
    for model in (tuned, make_network()):
        found: list[torch.Tensor] = []
        with model.blocks[1].register_forward_hook(
            lambda *given, kept=found: kept.append(given[2])
        ):
            for batch in data:
                model(batch)
        outputs.append(torch.cat(found).detach())
    got, dense = outputs
    error = (got - dense).square().sum() / (dense - dense.mean()).square().sum()
    assert report.blocks[1].error_before == pytest.approx(float(error), rel=1e-4)


def test_padding_does_not_count() -> None:
    data = make_batches()
    padded = []
    for batch in data:
        junk = torch.full((4, 7, 8), 1e3, dtype=torch.float64)
        mask = torch.cat((torch.ones(4, 20), torch.zeros(4, 7)), 1).long()
        padded.append({"tokens": torch.cat((batch, junk), 1), "attention_mask": mask})
    plain, masked = make_network(), make_network()
    prune_model_(plain, data, "2:4")
    prune_model_(masked, padded, "2:4")
    for name in ORDER:
        torch.testing.assert_close(
            plain.get_submodule(name).weight, masked.get_submodule(name).weight
        )


@torch.no_grad()
def _normalised(model: nn.Sequential, data: list[torch.Tensor]) -> torch.Tensor:
    """Values that the second normalisation gets, by channel, if the first goes by each batch."""
    norm = model[1]
    normed = (
        functional.batch_norm(model[0](one), None, None, norm.weight, norm.bias, True)
        for one in data
    )
    return torch.cat([model[3](one.relu()).movedim(1, -1).flatten(0, 2) for one in normed])


def test_convolutions_and_batch_norm() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, groups=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 8),
    )  # fmt: skip
    data = [torch.randn(32, 3, 9, 9) + 0.5 for _ in range(3)]
    model[1].momentum = model[4].momentum = None
    for batch in data:
        model(batch)
    model.eval()
    dense = copy.deepcopy(model)
    report = prune_model_(model, data, "2:4", "least_squares")
    assert [layer.name for layer in report.pruned] == ["3", "8"]
    assert report.skipped[0].reason == "3 input channels < m = 4"
    by_position = masks(model)["3"].permute(2, 3, 0, 1)
    assert tnm.is_transposable(by_position.numpy(), 2, 4)
    corrected = report.batch_norm
    assert corrected is not None
    assert corrected.kept
    assert list(corrected.norms) == ["1", "4"]
    # Of three batches the last tells whether the others' statistics help.
    before, after = (_normalised(each, data[:2]) for each in (dense, model))
    share = (after.var(0) / before.var(0)).sqrt()
    moved = after.mean(0) + share * (dense[4].running_mean - before.mean(0))
    torch.testing.assert_close(model[4].running_mean, moved)
    assert not model[4].training
    bare, best = copy.deepcopy(dense), copy.deepcopy(dense)
    prune_model_(bare, data, "2:4", "magnitude")
    prune_model_(best, data, "2:4")
    assert torch.equal(bare[4].running_mean, dense[4].running_mean)
    fresh = [torch.randn(32, 3, 9, 9) + 0.5]
    assert _loss(best, dense, fresh) < 0.5 * _loss(bare, dense, fresh)
    assert _loss(model, dense, fresh) < 0.5 * _loss(bare, dense, fresh)


def test_patterns_by_layer_and_row_wise() -> None:
    model = make_network()
    report = prune_model_(
        model, make_batches(), {"stem": "row 2:4", "blocks.0.up": "4:8", "blocks.1.down": (1, 4)}
    )
    assert {layer.name: layer.pattern for layer in report.pruned} == {
        "stem": "row 2:4",
        "blocks.0.up": "4:8",
        "blocks.1.down": "1:4",
    }
    assert set(masks(model)) == {"stem", "blocks.0.up", "blocks.1.down"}
    kept = masks(model)["stem"]
    assert torch.equal(kept, model.stem.weight != 0)
    assert (kept.view(WIDTH, 2, 4).sum(-1) == 2).all()
    assert not tnm.is_transposable(kept.numpy(), 2, 4)
    assert {layer.reason for layer in report.skipped} == {"not named in pattern"}
    with pytest.raises(ValueError, match="pattern names 'nothing'"):
        prune_model_(model, make_batches(), {"nothing": "2:4"})


def test_what_halves_retain_is_summed_up_in_wider_numbers() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1024, 1024, bias=False))
    nn.init.normal_(model[0].weight, std=1.0)  # magnitudes sum up to more than float16 holds
    wide = copy.deepcopy(model)
    data = [torch.randn(8, 1024)]
    (half,) = prune_model_(model.half(), [data[0].half()], "row 2:4", "magnitude").pruned
    (full,) = prune_model_(wide, data, "row 2:4", "magnitude").pruned
    assert half.retained == pytest.approx(full.retained, rel=1e-3)


def test_bfloat16_and_a_layer_called_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(16, 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(torch.tanh(self.layer(x)))

    model = Twice().bfloat16()
    seen = []
    data = [torch.randn(40, 16, dtype=torch.bfloat16) for _ in range(2)]
    prune_model_(model, data, "2:4", progress=lambda *told: seen.append(told))
    assert model.layer.weight.dtype == torch.bfloat16
    assert [(layer.name, done, total) for layer, done, total in seen] == [("layer", 1, 1)]


@pytest.mark.parametrize("pattern", ["2:4", " 2 : 4 ", (2, 4), tnm.Pattern(2, 4)], ids=str)
def test_every_form_of_a_pattern_is_read(pattern: Any) -> None:
    model, expected = make_network(), make_network()
    report = prune_model_(model, make_batches(), pattern, "magnitude", include="last")
    prune_model_(expected, make_batches(), "2:4", "magnitude", include="last")
    assert [layer.pattern for layer in report.pruned] == ["2:4"]
    assert torch.equal(model.last.weight, expected.last.weight)


def test_what_is_left_alone_has_a_code() -> None:
    selection = Selection("blocks.*", "*.up")
    report = prune_model_(make_network(), make_batches(), "2:4", "magnitude", include=selection)
    reasons = {layer.name: layer.skip.code for layer in report.skipped if layer.skip is not None}
    excluded = SkipCode.EXCLUDED
    assert reasons == {
        "stem": SkipCode.NOT_INCLUDED, "last": SkipCode.NOT_INCLUDED,
        "blocks.0.up": excluded, "blocks.1.up": excluded,
    }  # fmt: skip
    assert {one["reason"] for one in report.to_records()} == {
        None, "not matched by include=", "matched by exclude="
    }  # fmt: skip


def test_progress_and_report_as_text(capsys: Any) -> None:
    report = prune_model_(make_network(), make_batches(), "2:4", include="blocks.*", progress=True)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 6
    assert told[0].startswith("[1/6] blocks.0.gate: 2:4, error 0.")
    lines = str(report).splitlines()
    assert lines[0].startswith("recipe best: 6 of 8 layers in ")
    assert lines[3].endswith("not matched by include=")
    assert len(report.to_records()) == 8


def _unchanged(model: Network) -> bool:
    fresh = make_network().state_dict()
    state = model.state_dict()
    return set(state) == set(fresh) and all(torch.equal(state[k], v) for k, v in fresh.items())


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"batches": iter([])}, TypeError, "which can be read once only"),
        ({"batches": 3}, TypeError, "batches is a int"),
        ({"batches": []}, ValueError, "holds no batch"),
        ({"recipe": "worst"}, ValueError, "recipe is 'worst', expected one of 'magnitude'"),
        ({"recipe": 1}, TypeError, "recipe is a int"),
        ({"pattern": "5:4"}, ValueError, "5"),
        ({"pattern": "32:64"}, ValueError, "no layer is selected"),
        ({"include": "nothing"}, ValueError, "'nothing' matches no layer"),
        ({"progress": "yes"}, TypeError, "progress is a str"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], told: str) -> None:
    model = make_network()
    call = {"batches": make_batches(), **arguments}
    with pytest.raises(error, match=told):
        prune_model_(model, **call)
    assert _unchanged(model)


def test_bad_recipes() -> None:
    for argument in ({"search": "x"}, {"criterion": "x"}, {"reconstruction": "x"},
                     {"method": "x"}, {"alpha": 2.0}, {"damping": -1.0}, {"steps": 0}):  # fmt: skip
        with pytest.raises(ValueError, match=f"{next(iter(argument))} is"):
            Recipe(**argument)


@pytest.mark.parametrize("recipe", ["best", "tuned", "magnitude"])
def test_layers_that_are_never_called_stay_dense_with_the_reason(recipe: str) -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first = nn.Linear(WIDTH, WIDTH)
            self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
            self.unused = nn.Linear(WIDTH, WIDTH)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.first(x)
            return self.attention(h, h, h)[0]

    model = Attending()
    before = model.unused.weight.clone()
    report = prune_model_(model, [torch.randn(6, 10, WIDTH) for _ in range(3)], "2:4", recipe)
    assert [layer.name for layer in report.pruned] == ["first"]
    left = {layer.name: layer.skip for layer in report.skipped}
    assert set(left) == {"attention", "attention.out_proj", "unused"} or set(left) == {
        "attention.in_proj_weight", "attention.out_proj", "unused"
    }  # fmt: skip
    for name in ("attention.out_proj", "unused"):
        skip = left[name]
        assert skip is not None
        assert skip.code is SkipCode.NEVER_CALLED
        assert "other code reads its weight" in str(report)
    assert torch.equal(model.unused.weight, before)
    assert set(masks(model)) == {"first"}


def test_data_that_miss_all_layers_or_are_not_finite_change_nothing() -> None:
    model = make_network()
    model.unused = nn.Linear(8, 8).double()
    with pytest.raises(ValueError, match="reach none of the 1 selected layers"):
        prune_model_(model, make_batches(), "2:4", include="unused")
    del model.unused
    bad = make_batches()
    bad[1][0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="layer 'stem' has calibration data with NaN"):
        prune_model_(model, bad, "2:4")
    with pytest.raises(ValueError, match=r"layer 'blocks.0.gate' has calibration data with NaN"):
        prune_model_(model, bad, "2:4", exclude="stem")
    assert _unchanged(model)

    def interrupt(layer: Any, done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune_model_(model, make_batches(), "2:4", progress=interrupt)
    assert _unchanged(model)


def test_few_data_warn() -> None:
    with pytest.warns(RankDeficientWarning, match="layer 'last'"):
        prune_model_(make_network(), [make_batches()[0][:1, :5]], "2:4", include="last")
