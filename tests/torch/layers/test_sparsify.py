"""Masks on the layers of a model."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tnm_core as tnm
from tests.torch.networks import (
    Mixed,
    dense_weight,
    perceptron,
)
from tests.torch.refusals import assert_refused
from tnm_core.skip import SkipCode
from tnm_core.torch import (
    SparsifyReport,
    masks,
    sparsify_,
)

LEFT_ALONE = {
    "stem": "3 input channels < m = 4",
    "depthwise": "1 output channels in each of 12 groups < m = 4",
    "embedding": "Embedding is not among layers=",
    "narrow": "out_features 3 < m = 4",
    "attention.in_proj_weight": "a parameter that is not called weight (include it to prune it)",
    "head": "its weight is shared (embedding.weight and head.weight)",
}


def _reasons(report: SparsifyReport) -> dict[str, str | None]:
    return {layer.name: layer.reason for layer in report.skipped}


def test_every_layer_is_reported() -> None:
    model = Mixed()
    report = sparsify_(model, "2:4")
    assert _reasons(report) == LEFT_ALONE
    sparse = ["conv", "grouped", "up", "hidden", "attention.out_proj"]
    assert [layer.name for layer in report.sparse] == sparse
    assert list(masks(model)) == sparse
    for layer in report.sparse:
        module = model.get_submodule(layer.name)
        weight, mask = dense_weight(module).detach(), masks(model)[layer.name]
        assert layer.pattern == "2:4"
        assert layer.shape == tuple(weight.shape)
        assert layer.density == pytest.approx(0.5)
        retained = float((weight.abs() * mask).sum() / weight.abs().sum())
        assert layer.retained == pytest.approx(retained, rel=1e-5)
        assert torch.equal(module.weight, weight * mask)


def test_report_as_text_and_as_records() -> None:
    report = sparsify_(Mixed(), "2:4", score="square")
    lines = str(report).splitlines()
    assert lines[0] == "2:4 on 5 of 11 layers, method optimal, score square"
    assert len(lines) == 3 + len(report.layers)
    assert lines[3].startswith("stem")
    assert lines[3].endswith("3 input channels < m = 4")
    records = report.to_records()
    assert [record["name"] for record in records] == [layer.name for layer in report.layers]
    assert all(
        type(value) in (str, float, tuple, type(None)) for r in records for value in r.values()
    )


def test_reasons_are_codes_with_values() -> None:
    stem = sparsify_(Mixed(), "2:4").skipped[0]
    assert stem.skip == SkipCode.FEW_CHANNELS(side="input", size=3, m=4)
    assert stem.reason == str(stem.skip)
    assert len({stem, stem}) == 1


def test_linear_masks_are_those_of_the_numpy_api() -> None:
    for dtype in (torch.float32, torch.float64):
        model = perceptron(dtype=dtype)
        weight = model[0].weight.detach().numpy().copy()
        sparsify_(model, (4, 8))
        np.testing.assert_array_equal(
            masks(model)["0"].numpy(), tnm.transposable_mask(weight, 4, 8)
        )


def test_convolutions_are_tiled_per_kernel_position() -> None:
    for kernel, layer in ((5, nn.Conv1d), ((3, 2), nn.Conv2d), ((1, 2, 3), nn.Conv3d)):
        model = layer(8, 12, kernel)
        weight = model.weight.detach().numpy().copy()
        sparsify_(model, "2:4")
        mask = masks(model)[""].numpy()
        for position in itertools.product(*map(range, weight.shape[2:])):
            here = (slice(None), slice(None), *position)
            np.testing.assert_array_equal(mask[here], tnm.transposable_mask(weight[here], 2, 4))


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("transposed", [False, True])
def test_tiles_stay_within_groups(groups: int, transposed: bool) -> None:
    layer = nn.ConvTranspose1d if transposed else nn.Conv1d
    model = layer(24, 36, 3, groups=groups)
    weight = model.weight.detach().numpy().copy()
    report = sparsify_(model, "2:4", layers=(layer,))
    assert not report.skipped
    mask, rows = masks(model)[""].numpy(), weight.shape[0] // groups
    for group, position in itertools.product(range(groups), range(3)):
        here = (slice(group * rows, (group + 1) * rows), slice(None), position)
        np.testing.assert_array_equal(mask[here], tnm.transposable_mask(weight[here], 2, 4))


@pytest.mark.parametrize(
    ("include", "exclude", "sparse"),
    [
        ("att*", (), ["attention.in_proj_weight", "attention.out_proj"]),
        (["conv", "hid*"], (), ["conv", "hidden"]),
        (None, ["conv", "att*"], ["grouped", "up", "hidden"]),
        (["*"], "*o*", ["up", "hidden"]),
        (lambda name, module: isinstance(module, nn.Conv2d), "conv", ["grouped"]),
        (None, lambda name, module: "." in name or name == "hidden", ["conv", "grouped", "up"]),
    ],
)
def test_include_and_exclude(include: Any, exclude: Any, sparse: list[str]) -> None:
    report = sparsify_(Mixed(), "2:4", include=include, exclude=exclude)
    assert [layer.name for layer in report.sparse] == sparse
    assert len(report.layers) == 11


def test_a_function_scores() -> None:
    model = perceptron()
    seen = []

    def far_from_one(name: str, weight: Any) -> Any:
        seen.append(name)
        return (weight - 1).abs()

    weight = model[0].weight.detach().clone()
    report = sparsify_(model, "2:4", score=far_from_one)
    assert seen == ["0", "2"]
    assert report.score == "far_from_one"
    expected = tnm.transposable_mask((weight - 1).abs().numpy(), 2, 4)
    np.testing.assert_array_equal(masks(model)["0"].numpy(), expected)


def test_other_patterns_for_other_layers() -> None:
    model = perceptron()
    sparsify_(model, "2:4", include="0")
    report = sparsify_(model, "4:8")
    assert _reasons(report) == {"0": "is 2:4 sparse already"}
    assert tnm.is_transposable(masks(model)["0"].numpy(), 2, 4)
    assert tnm.is_transposable(masks(model)["2"].numpy(), 4, 8)


def test_one_module_under_two_names_is_one_layer() -> None:
    layer = nn.Linear(8, 8)
    report = sparsify_(nn.Sequential(layer, nn.ReLU(), layer), "2:4")
    assert [one.name for one in report.layers] == ["0"]
    assert not report.skipped


def test_weights_that_cannot_be_masked() -> None:
    model = nn.Sequential(
        nn.Linear(8, 8),
        nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)),
        nn.utils.parametrizations.orthogonal(nn.Linear(8, 8)),
        nn.Linear(8, 8, device="meta"),
    )
    reasons = _reasons(sparsify_(model, "2:4"))
    assert reasons["2"] == "its weight has another parametrisation; remove that first"
    assert "meta" in str(reasons["3"])
    assert reasons.keys() >= {"1"}


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_lazy_layers() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.LazyLinear(8))
    assert "run the model once first" in str(_reasons(sparsify_(model, "2:4"))["1"])


def test_gradients_of_pruned_weights_are_zero() -> None:
    model = perceptron(dtype=torch.float64)
    sparsify_(model, "2:4")
    model(torch.randn(5, 16, dtype=torch.float64)).square().sum().backward()
    for name, mask in masks(model).items():
        gradient = dense_weight(model[int(name)]).grad
        assert (gradient[~mask] == 0).all()
        assert (gradient[mask] != 0).any()

    def product(weight: Any) -> Any:
        return nn.functional.linear(torch.ones(2, 16, dtype=weight.dtype), weight)

    chain = model[0].parametrizations.weight[0]
    weight = dense_weight(model[0]).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda weight: product(chain(weight)), (weight,))


# Bad input: one line, and the model is as it was.


@pytest.mark.parametrize(
    ("pattern", "error"),
    [("2-4", ValueError), ("", ValueError), ("5:4", ValueError), ("2:4:8", ValueError),
     ("0:4", ValueError), ("2:129", ValueError), ((5, 4), ValueError), (2, TypeError),
     ((2, 4.0), TypeError), (None, TypeError), ((2,), ValueError)],
)  # fmt: skip
def test_bad_patterns(pattern: Any, error: type[Exception]) -> None:
    assert_refused(lambda: sparsify_(perceptron(), pattern), error)


def test_no_layer_is_selected() -> None:
    assert_refused(lambda: sparsify_(perceptron(), "16:32"), ValueError, "16:32", "< m = 32")
    assert_refused(lambda: sparsify_(nn.ReLU(), "2:4"), ValueError, "no layer")
    assert_refused(lambda: sparsify_(perceptron(), "2:4", exclude="*"), ValueError, "exclude=")


def test_a_glob_that_matches_nothing() -> None:
    assert_refused(lambda: sparsify_(perceptron(), include=["0", "x*"]), ValueError, "'x*'")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"include": [1]}, "include"),
        ({"exclude": ["a", None]}, "exclude"),
        ({"layers": (nn.Linear, "Conv2d")}, "Conv2d"),
        ({"layers": (nn.Linear(2, 2),)}, "layers"),
    ],
)
def test_wrong_selection(options: dict[str, Any], told: str) -> None:
    assert_refused(lambda: sparsify_(perceptron(), "2:4", **options), TypeError, told)


def test_wrong_options() -> None:
    assert_refused(lambda: sparsify_("model", "2:4"), TypeError, "str")
    assert_refused(lambda: sparsify_(perceptron(), score="l1"), ValueError, "l1")
    assert_refused(lambda: sparsify_(perceptron(), method="best"), ValueError, "best")


def test_a_failure_changes_nothing() -> None:
    model = perceptron()
    with torch.no_grad():
        model[2].weight[3, 5] = float("nan")
    assert_refused(lambda: sparsify_(model, "2:4"), ValueError, "layer '2'", "3, 5", "nan")
    assert type(model[0]) is nn.Linear
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


@pytest.mark.parametrize(
    ("result", "error", "told"),
    [
        (lambda name, weight: weight[:4], ValueError, "(4, 16)"),
        (lambda name, weight: weight.numpy(), TypeError, "ndarray"),
        (lambda name, weight: weight * float("inf"), ValueError, "inf"),
    ],
)
def test_scores_that_do_not_fit(result: Any, error: type[Exception], told: str) -> None:
    assert_refused(lambda: sparsify_(perceptron(), score=result), error, "layer '0'", told)
