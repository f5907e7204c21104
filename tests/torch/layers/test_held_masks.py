"""A mask that is none any more is refused before anything is done with it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tests.torch.networks import perceptron
from tests.torch.refusals import assert_refused
from tnm_core.torch import (
    DynamicMask,
    StaticMask,
    apply_masks_,
    load_masks_,
    masks,
    remove_sparsity_,
    sparsify_,
)
from tnm_core.torch.layers import WeightAxes, masked_parametrization

MASK = "0.parametrizations.weight.0.mask"
PATTERN = "0.parametrizations.weight.0.pattern"
X = torch.ones(1, 16)


def _sparse(pattern: str = "2:4", seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(16, 16))
    sparsify_(model, pattern)
    return model


def _own_mask(model: Any) -> torch.Tensor:
    return masked_parametrization(model[0]).mask


def _averages(model: nn.Module) -> AveragedModel:
    average = get_ema_multi_avg_fn(0.9)
    averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    averaged.update_parameters(model)
    load_masks_(model, {"0": ~masks(model)["0"]})
    averaged.update_parameters(model)
    return averaged


USES: list[Callable[[Any], object]] = [
    lambda model: model(X),
    lambda model: model.eval()(X),
    masks,
    apply_masks_,
    remove_sparsity_,
    lambda model: StaticMask().attach(model, torch.optim.SGD(model.parameters(), lr=1)),
]


@pytest.mark.parametrize("use", USES)
def test_averaged_masks_are_refused(use: Callable[[Any], object]) -> None:
    model = _sparse()
    averaged = _averages(model).module
    before = masked_parametrization(averaged[0]), averaged[0].bias.clone()
    assert_refused(lambda: use(averaged), ValueError, "layer '0'", "2:4", "load_masks_")
    assert masked_parametrization(averaged[0]) is before[0]
    assert_refused(lambda: use(averaged), ValueError, "layer '0'")
    load_masks_(averaged, masks(model))
    assert masks(averaged)["0"].float().mean() == 0.5
    use(averaged)


def test_a_pattern_that_averages_to_another_is_mended() -> None:
    """What 0.9 * 7 + 0.1 * 7 becomes as a whole number is 6; the mask stays one of 7:16."""
    model = _sparse("7:16")
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for _ in range(3):
        averaged.update_parameters(model)
    assert averaged.module[0].parametrizations.weight[0].pattern.tolist() == [6, 16]
    state = averaged.module.state_dict()
    assert state[PATTERN].tolist() == [7, 16]
    model.load_state_dict(state)


def test_copies_made_while_dense_are_masked_by_loaded_masks() -> None:
    model = _sparse()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    DynamicMask(dense_until=1).attach(model, optimizer)
    averaged = AveragedModel(model)
    model(X).sum().backward()
    optimizer.step()
    averaged.update_parameters(model)
    load_masks_(averaged.module, masks(model))
    assert torch.equal(averaged.module[0].weight != 0, masks(model)["0"])
    load_masks_(model, masks(model))
    assert masked_parametrization(model[0]).mode == "straight_through", "its owner decides"


def _flip(model: Any) -> None:
    _own_mask(model)[0].logical_not_()


def _fill(model: Any) -> None:
    model._apply(lambda one: torch.ones_like(one) if one.dtype == torch.bool else one)


def _to_floats(model: Any) -> None:
    model.type(torch.float64)


@pytest.mark.parametrize("write", [_flip, _fill])
def test_writes_are_found(write: Callable[[Any], None]) -> None:
    model = _sparse().eval()
    model(X)
    write(model)
    assert_refused(lambda: model(X), ValueError, "layer '0'", "not 2:4 transposable")


def test_other_dtypes_are_found() -> None:
    model = _sparse()
    _to_floats(model)
    assert_refused(lambda: model(X.double()), TypeError, "layer '0'", "float64")
    load_masks_(model, masks(_sparse(seed=1)))
    assert model(X.double()).shape == (1, 16)


def test_row_wise_masks_are_judged_by_rows() -> None:
    model = _sparse("row 2:4")
    mask = _own_mask(model)
    mask.copy_(mask.flip(1))
    model(X)
    mask.copy_(mask.t().clone())
    assert_refused(lambda: model(X), ValueError, "row 2:4")


def test_unchanged_masks_are_never_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = itertools.count()
    judge = WeightAxes.violation

    def count(self: WeightAxes, *args: Any) -> Any:
        next(looks)
        return judge(self, *args)

    model = _sparse()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    DynamicMask(every=1).attach(model, optimizer)
    monkeypatch.setattr(WeightAxes, "violation", count)
    for _ in range(3):
        model(X).sum().backward()
        optimizer.step()
        masks(model)
    assert next(looks) == 0, "masks of a refresh are right"
    _own_mask(model).logical_not_()
    for _ in range(3):
        model(X)
    assert next(looks) == 2, "a changed one is looked at once"


# Loading


def _average(one: Any, other: Any) -> dict[str, torch.Tensor]:
    return {name: (value + other[name]) / 2 for name, value in one.items()}


STATES: list[tuple[Callable[[dict[str, torch.Tensor]], object], str]] = [
    (lambda state: state.update(_average(state, _sparse(seed=1).state_dict())), "float32"),
    (lambda state: state[MASK].fill_(True), "not 2:4"),
    (lambda state: state[MASK][0].logical_not_(), "not 2:4"),
    (lambda state: state.update({PATTERN: torch.tensor((4, 8))[[1, 0]]}), "[8, 4]"),
    (lambda state: state.update({PATTERN: torch.tensor((2.5, 4))}), "[2.5, 4.0]"),
    (lambda state: state.update({PATTERN: torch.tensor((1, 4))}), "not 1:4"),
    (lambda state: state.update({PATTERN: torch.zeros(2)}), "[0.0, 0.0]"),
]


@pytest.mark.parametrize(("damage", "told"), STATES)
@pytest.mark.parametrize("assign", [False, True])
def test_broken_states_are_refused(
    damage: Callable[[dict[str, torch.Tensor]], object], told: str, assign: bool
) -> None:
    model, other = _sparse(), _sparse(seed=2)
    before, state = masks(model)["0"], copy.deepcopy(other.state_dict())
    damage(state)
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict(state, assign=assign)
    assert "layer '0'" in str(caught.value)
    assert told in str(caught.value)
    assert "average" in str(caught.value)
    assert torch.equal(masks(model)["0"], before)


@pytest.mark.parametrize("assign", [False, True])
def test_masks_of_other_dtypes_are_taken_if_they_are_masks(assign: bool) -> None:
    model, state = _sparse(), _sparse("4:8", seed=1).state_dict()
    other = {name: value.float() for name, value in state.items()}
    model.load_state_dict(other, assign=assign)
    assert torch.equal(masks(model)["0"], state[MASK])
    assert model.state_dict()[PATTERN].tolist() == [4, 8]
    model(X)


def test_a_pattern_is_not_loaded_without_its_mask() -> None:
    model, state = _sparse(), _sparse("4:8", seed=1).state_dict()
    del state[MASK]
    with pytest.raises(RuntimeError, match="layer '0'"):
        _sparse("1:4").load_state_dict(state, strict=False)
    assert model.state_dict()[PATTERN].tolist() == [2, 4]


def test_mask_and_pattern_that_come_in_place() -> None:
    """As torch.distributed.checkpoint loads: into the tensors of a state_dict."""
    model, state = _sparse(), _sparse("4:8", seed=1).state_dict()
    for name, value in model.state_dict().items():
        value.copy_(state[name])
    assert torch.equal(masks(model)["0"], state[MASK])
    assert str(masked_parametrization(model[0]).mask_pattern) == "4:8"


def test_memory_that_is_yet_to_be_filled() -> None:
    model, state = _sparse(), _sparse(seed=1).state_dict()
    model.to_empty(device="cpu")
    _own_mask(model).fill_(True)
    empty = model.state_dict()
    for name, value in empty.items():
        value.copy_(state[name])
    model.load_state_dict(empty)
    assert torch.equal(masks(model)["0"], state[MASK])


def test_layers_are_named_from_the_whole_model() -> None:
    model = nn.ModuleDict({"encoder": perceptron()})
    sparsify_(model, "2:4")
    state = copy.deepcopy(model.state_dict())
    state["encoder.2.parametrizations.weight.0.mask"].fill_(False)
    with pytest.raises(RuntimeError, match=r"layer 'encoder\.2' is not 2:4"):
        model.load_state_dict(state)
