"""Layers with code of their own: what counts is what they multiply by their weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.torch.calibrate.own_layers import (
    Activated,
    Asymmetric,
    BiasAfterwards,
    DynamicSame,
    Matmul,
    SaysSame,
    Scaled,
    Standardised,
    Twice,
    Widened,
    make_images,
    make_own_network,
    naive_rows,
)
from tests.torch.calibrate.problems import moments_of
from tnm_core.skip import SkipCode
from tnm_core.torch import prune_model_
from tnm_core.torch.calibrate import Recipe, Statistics, collect_statistics
from tnm_core.torch.calibrate.data import Calibration, execution_order, layer_matrices_of, record
from tnm_core.torch.calibrate.data.unfolding import Unfolding

# A layer; how its images are padded by hand; stride and dilation.
CASES: list[tuple[Any, Any, int, Any]] = [
    (lambda: Asymmetric(4, 8, 3, padding=1), (0, 1, 2, 1), 1, (1, 1)),
    (lambda: Asymmetric(4, 8, (2, 3), stride=2, groups=2, bias=False), (0, 1, 2, 1), 2, (1, 1)),
    (lambda: DynamicSame(4, 8, 3, stride=2), (1, 1, 1, 1), 2, (1, 1)),
    (lambda: DynamicSame(4, 8, (2, 4), stride=2, groups=2), (1, 2, 0, 1), 2, (1, 1)),
    (lambda: SaysSame(4, 8, (2, 4)), (3, 3, 0, 1), 1, (1, 2)),
    (lambda: Activated(4, 8, 3, padding=(0, 2)), (2, 2, 0, 0), 1, (1, 1)),
    (lambda: Activated(4, 8, 3, padding=1, padding_mode="reflect"), "reflect", 1, (1, 1)),
    (lambda: Widened(4, 8, 3), (0, 0, 0, 0), 1, (1, 1)),
]


def _padded(images: torch.Tensor, padding: Any) -> torch.Tensor:
    if padding == "reflect":
        return functional.pad(images, (1, 1, 1, 1), mode="reflect")
    return functional.pad(images, padding)


def _rows(layer: Any, padding: Any, stride: int, dilation: Any) -> torch.Tensor:
    padded = _padded(torch.cat(make_images()), padding)
    return naive_rows(padded, layer.kernel_size, stride, dilation, layer.groups)


def _results(layer: Any, rows: torch.Tensor) -> torch.Tensor:
    weights = layer_matrices_of(layer).of_weight(layer.weight.detach())
    result = rows @ weights.transpose(1, 2)
    return result if layer.bias is None else result + layer.bias.detach().view(layer.groups, 1, -1)


# torch warns that it pads one side of even kernels more.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case[0]()))
def test_statistics_are_those_of_the_call_of_conv2d(case: Any) -> None:
    make, *how = case
    torch.manual_seed(0)
    layer = make().double()
    rows = _rows(layer, *how)
    expected = moments_of(rows, _results(layer, rows)).state_dict()
    statistics = collect_statistics(nn.Sequential(layer), make_images())
    for key, value in statistics.layers["0"].state_dict().items():
        torch.testing.assert_close(value, expected[key])
    assert statistics.skips == {}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("case", CASES[:6], ids=lambda case: str(case[0]()))
@pytest.mark.parametrize("sequential", [False, True])
def test_weights_are_those_of_a_dense_solver(case: Any, sequential: bool) -> None:
    make, *how = case
    torch.manual_seed(0)
    model = nn.Sequential(make()).double()
    rows, layer = _rows(model[0], *how), model[0]
    wanted = _results(layer, rows)
    pattern = "2:4" if layer.groups == 1 else "1:2"
    recipe = Recipe(search="one_shot", sequential=sequential, alpha=1.0, damping=0.0)
    (told,) = prune_model_(model, make_images(), pattern, recipe).pruned
    matrices = layer_matrices_of(layer)
    weights = matrices.of_weight(model[0].weight.detach())
    for group, output in ((0, 0), (matrices.groups - 1, 3)):
        kept = weights[group, output] != 0
        x = rows[group][:, kept]
        known = torch.cat([x, torch.ones(len(x), 1, dtype=torch.float64)], 1)
        right = wanted[group, :, output : output + 1]
        if layer.bias is None:
            known = x
        solved = torch.linalg.lstsq(known, right).solution[:, 0]
        torch.testing.assert_close(
            weights[group, output, kept], solved[: len(x.T)], rtol=1e-6, atol=1e-8
        )
    left = _results(layer, rows) - wanted
    variance = wanted - wanted.mean(1, keepdim=True) if layer.bias is not None else wanted
    assert told.error == pytest.approx(
        float(left.square().sum() / variance.square().sum()), rel=1e-6
    )


def test_each_product_of_a_call_counts() -> None:
    layer = Twice(4, 8, 3, padding=1).double()
    images = make_images()
    both = torch.cat([torch.cat([one, one.flip(-1)]) for one in images])
    rows = naive_rows(functional.pad(both, (1, 1, 1, 1)), (3, 3))
    expected = moments_of(rows, _results(layer, rows)).state_dict()
    got = collect_statistics(nn.Sequential(layer), images).layers["0"].state_dict()
    for key, value in expected.items():
        torch.testing.assert_close(got[key], value)
    report = prune_model_(nn.Sequential(layer), images, "2:4", "sequential")
    assert [one.name for one in report.pruned] == ["0"]


def test_copies_of_parameters_are_parameters() -> None:
    layer = Widened(4, 8, 3)
    statistics = collect_statistics(nn.Sequential(layer), [torch.randn(2, 4, 6, 6)])
    assert int(statistics.layers["0"].count) == 2 * 4 * 4


def test_hooks_and_modes_of_modules_make_no_difference() -> None:
    plain, hooked = (nn.Sequential(Activated(4, 8, 3)).double() for _ in range(2))
    hooked.load_state_dict(plain.state_dict())
    hooked[0].register_forward_hook(lambda module, given, output: output**2)
    hooked.train()
    expected, got = (collect_statistics(one, make_images()).layers["0"] for one in (plain, hooked))
    for key, value in expected.state_dict().items():
        assert torch.equal(got.state_dict()[key], value)
    assert hooked[0].training


def test_layers_that_multiply_by_something_else_are_left_out(tmp_path: Path) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.standardised = nn.Conv2d(4, 4, 1), Standardised(4, 4, 1)
            self.biased, self.unused = BiasAfterwards(4, 4, 1), Standardised(4, 4, 1)
            self.scaled, self.matmul = Scaled(4, 4), Matmul(4, 4)

        def forward(self, images: Any) -> Any:
            images = self.biased(self.standardised(self.conv(images)))
            return self.matmul(self.scaled(images.mean((2, 3))))

    model = Model().double()
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    statistics = collect_statistics(model, make_images())
    assert set(statistics.layers) == {"conv", "matmul"}
    assert statistics.unreached == {"unused"}
    assert statistics.own_products == {"standardised", "biased", "scaled"}
    statistics.save(tmp_path / "statistics.pt")
    loaded = Statistics.load(tmp_path / "statistics.pt")
    assert loaded.skips == statistics.skips
    assert loaded.skips["scaled"] == SkipCode.OWN_PRODUCT()
    collect_statistics(model, make_images(), into=loaded)
    assert loaded.skips == statistics.skips
    for recipe in ("best", "wanda", "magnitude"):
        report = prune_model_(model, make_images(), "2:4", recipe)
        assert [one.name for one in report.pruned] == ["conv", "matmul"]
        reasons = {one.name: one.skip and one.skip.code for one in report.skipped}
        assert reasons.pop("unused") is SkipCode.NEVER_CALLED
        assert set(reasons.values()) == {SkipCode.OWN_PRODUCT}
        assert "multiplies by something else than its weight" in str(report)
        for name in ("standardised", "biased", "scaled"):
            assert torch.equal(model.get_submodule(name).weight, kept[f"{name}.weight"])
        model = Model().double()
        model.load_state_dict(kept)


@pytest.mark.parametrize("recipe", ["best", "wanda"])
def test_nothing_else_is_refused(recipe: str) -> None:
    model = nn.Sequential(Standardised(4, 8, 3)).double()
    with pytest.raises(ValueError, match=r"none of the 1 layers .*'0'.* multiplies by its weight"):
        collect_statistics(model, make_images())
    with pytest.raises(ValueError, match=r"expected some that do"):
        prune_model_(model, make_images(), "2:4", recipe)


@pytest.mark.parametrize("recipe", ["sequential", "least_squares"])
def test_functions_that_no_copy_of_the_model_has_are_refused(recipe: str) -> None:
    layer = nn.Conv2d(4, 8, 3).double()
    layer.forward = lambda images: functional.conv2d(images, layer.weight, layer.bias)
    before = layer.weight.detach().clone()
    assert set(collect_statistics(nn.Sequential(layer), make_images()).layers) == {"0"}
    with pytest.raises(ValueError, match=r"layer '0' multiplies .* not in a copy"):
        prune_model_(nn.Sequential(layer), make_images(), "2:4", recipe)
    assert torch.equal(layer.weight, before)


def test_convolutions_of_one_input_have_sums_of_their_own() -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(4, 8, 3, padding=2)
            self.third, self.fourth = Asymmetric(4, 8, 3), Asymmetric(4, 8, 3)
            self.fifth = nn.Conv2d(4, 8, 3, dilation=2)

        def forward(self, images: Any) -> Any:
            return [one(images).sum() for one in self.children()]

    model = Beside().double()
    order = execution_order(model, Calibration(make_images()), dict(model.named_children()))
    assert [group.names for group in order.groups] == [
        (name,) for name, _ in model.named_children()
    ]
    statistics = collect_statistics(model, make_images()).layers
    images = torch.cat(make_images())
    for name, padding, dilation in (
        ("first", (1, 1, 1, 1), (1, 1)),
        ("second", (2, 2, 2, 2), (1, 1)),
        ("third", (0, 1, 2, 1), (1, 1)),
        ("fourth", (0, 1, 2, 1), (1, 1)),
        ("fifth", (0, 0, 0, 0), (2, 2)),
    ):
        rows = naive_rows(functional.pad(images, padding), (3, 3), 1, dilation)
        expected = moments_of(rows, _results(model.get_submodule(name), rows))
        torch.testing.assert_close(statistics[name].xx, expected.xx)
        torch.testing.assert_close(statistics[name].yx, expected.yx)


@pytest.mark.parametrize("outputs", [True, False])
def test_runs_end_with_the_layer_and_leave_nothing_behind(outputs: bool) -> None:
    model = make_own_network(own=True)
    modules = {name: model.get_submodule(name) for name in ("first", "third", "last")}
    (images,) = make_images(1)
    calls = record(lambda: model(images), modules, stop="third", outputs=outputs)
    assert set(calls) == {"first", "third"}
    (made,) = calls["third"][0].products
    assert made.given is calls["third"][0].input
    assert made.unfolding == Unfolding((1, 1), (1, 1), (1, 1), (0, 0, 0, 0))
    if outputs:
        assert made.output is not None
        # As it was before the activation.
        returned = calls["third"][0].output
        torch.testing.assert_close(functional.leaky_relu(made.output, 0.1), returned)
        assert float(made.output.min()) < float(returned.min())
    else:
        assert made.output is None
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in model.modules())
    # Nothing is watched any more.
    assert torch.overrides._get_current_function_mode_stack() == []


def test_padding_is_as_conv2d_understands_it() -> None:
    weight = torch.zeros(1, 1, 4, 3)
    for given, expected in (
        (2, (2, 2, 2, 2)), ((1,), (1, 1, 1, 1)), ((1, 2), (2, 2, 1, 1)), ("valid", (0, 0, 0, 0)),
        ("same", (2, 2, 1, 2)),
    ):  # fmt: skip
        found = Unfolding.of_call(weight, [3], given, (1, 2))
        assert found == Unfolding((4, 3), (3, 3), (1, 2), expected)
