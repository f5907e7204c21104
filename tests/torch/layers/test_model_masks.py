"""Reading, loading, applying and removing the masks of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.torch.networks import (
    Mixed,
    dense_weight,
    mixed_input,
    perceptron,
)
from tests.torch.refusals import assert_refused
from tnm_core.checkpoint import read_masks, save_masks
from tnm_core.torch import apply_masks_, load_masks_, masks, remove_sparsity_, sparsify_


def _sparse(seed: int = 0, pattern: str = "2:4") -> nn.Sequential:
    model = perceptron(seed)
    sparsify_(model, pattern)
    return model


def test_masks_are_copies() -> None:
    model = _sparse()
    taken = masks(model)
    taken["0"].zero_()
    assert masks(model)["0"].any()
    assert masks(perceptron()) == {}


def test_loading_what_masks_returned() -> None:
    model, other = _sparse(0), _sparse(1)
    load_masks_(other, masks(model))
    for name, mask in masks(model).items():
        assert torch.equal(masks(other)[name], mask)
        assert torch.equal(other[int(name)].weight != 0, mask)


def test_loading_arrays_by_names_of_weights(tmp_path: Path) -> None:
    model, other = _sparse(0), _sparse(1)
    arrays = {f"{name}.weight": mask.numpy() for name, mask in masks(model).items()}
    save_masks(tmp_path / "masks.safetensors", arrays, pattern="2:4")
    load_masks_(other, read_masks(tmp_path / "masks.safetensors"))
    assert torch.equal(masks(other)["2"], masks(model)["2"])


def test_loading_into_grouped_convolutions() -> None:
    model, other = Mixed(), Mixed()
    sparsify_(model, "2:4")
    sparsify_(other, "2:4")
    load_masks_(other, masks(model))
    assert torch.equal(masks(other)["grouped"], masks(model)["grouped"])


def test_wrapped_models_have_the_same_names() -> None:
    model = _sparse()
    compiled = torch.compile(model, backend="eager")
    assert list(masks(compiled)) == ["0", "2"]
    load_masks_(compiled, masks(_sparse(1)))
    assert torch.equal(masks(model)["0"], masks(_sparse(1))["0"])


def test_applying_masks() -> None:
    model, inputs = Mixed().eval(), mixed_input()
    sparsify_(model, "2:4")
    output = model(*inputs)
    apply_masks_(model)
    assert torch.equal(dense_weight(model.hidden) != 0, masks(model)["hidden"])
    assert torch.equal(model(*inputs), output)


def test_removing_sparsity() -> None:
    model, inputs = Mixed().eval(), mixed_input()
    names = [name for name, _ in model.named_parameters()]
    sparsify_(model, "2:4")
    output, taken = model(*inputs), masks(model)
    parameter = dense_weight(model.hidden)
    assert remove_sparsity_(model) == list(taken)
    assert model.hidden.weight is parameter
    assert type(model.hidden) is nn.Linear
    assert sorted(name for name, _ in model.named_parameters()) == sorted(names)
    assert torch.equal(model.hidden.weight != 0, taken["hidden"])
    assert torch.equal(model(*inputs), output)
    assert masks(model) == {}
    assert remove_sparsity_(model) == []


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (lambda taken: taken.pop("2"), ValueError, "no mask for layer '2'"),
        (lambda taken: taken.update(extra=taken["2"]), ValueError, "'extra'"),
        (lambda taken: taken.update({"2": taken["2"].float()}), TypeError, "layer '2'"),
        (lambda taken: taken.update({"2": taken["2"].t()}), ValueError, "another architecture"),
        (lambda taken: taken.update({"2": ~taken["2"] | taken["2"]}), ValueError, "layer '2'"),
        (lambda taken: taken.update({"2": taken["2"].numpy().astype(int)}), TypeError, "int64"),
        (lambda taken: taken.update({"2": np.ma.array(taken["2"], mask=True)}), ValueError, "'2'"),
        (lambda taken: taken.update({"2": None}), TypeError, "'2' is None"),
    ],
)
def test_masks_that_do_not_fit(change: Any, error: type[Exception], told: str) -> None:
    model = _sparse(0)
    before, taken = masks(model), masks(_sparse(1))
    change(taken)
    assert_refused(lambda: load_masks_(model, taken), error, told)
    for name, mask in before.items():
        assert torch.equal(masks(model)[name], mask), "no mask is replaced"


def test_masks_of_another_pattern() -> None:
    assert_refused(
        lambda: load_masks_(_sparse(0, "2:4"), masks(_sparse(0, "4:8"))),
        ValueError, "layer '0'", "not 2:4 transposable", "keeps",
    )  # fmt: skip


def test_nothing_to_load_into() -> None:
    assert_refused(lambda: load_masks_(perceptron(), {}), ValueError, "sparsify_")


def test_other_parametrisations_on_top() -> None:
    model = _sparse()
    nn.utils.parametrize.register_parametrization(model[0], "weight", nn.Identity())
    assert_refused(lambda: remove_sparsity_(model), ValueError, "layer '0'")
    assert np.array_equal(masks(model)["2"], masks(_sparse())["2"])
