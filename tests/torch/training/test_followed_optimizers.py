"""What is attached follows the weights that the optimizer has, or says why it cannot."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.torch.networks import dense_weight, perceptron
from tests.torch.refusals import assert_refused
from tnm_core.torch import (
    SRSTE,
    DynamicMask,
    StaticMask,
    load_masks_,
    masks,
    remove_sparsity_,
    repack_after_step,
    sparsify_,
    to_sparse_linear_,
)
from tnm_core.torch.layers import masked_parametrization

HOOKS: list[Any] = [StaticMask, DynamicMask, SRSTE]
X = torch.linspace(-1, 1, 32).reshape(2, 16)


def _sparse() -> Any:
    model = perceptron()
    sparsify_(model, "2:4")
    return model


def _sgd(*modules: Any) -> torch.optim.SGD:
    return torch.optim.SGD([one for module in modules for one in module.parameters()], lr=0.1)


def _step(model: Any, optimizer: Any) -> None:
    model(X).square().sum().backward()
    optimizer.step()


# Wrappers


class _Wrapper(torch.optim.Optimizer):
    """Steps another optimizer; as that of accelerate, it never becomes one itself."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer

    @property
    def param_groups(self) -> Any:  # type: ignore[override]
        return self.optimizer.param_groups

    def step(self, closure: Any = None) -> Any:  # type: ignore[override]
        return self.optimizer.step(closure)


class _WithPlaces(torch.optim.Optimizer):
    """As timm's Lookahead: it makes the places of hooks, and its step runs none."""

    def __init__(self, optimizer: Any) -> None:
        self._base_optimizer = optimizer
        self.param_groups, self.state = optimizer.param_groups, defaultdict(dict)
        self._optimizer_step_pre_hooks = OrderedDict()
        self._optimizer_step_post_hooks = OrderedDict()

    def step(self, closure: Any = None) -> Any:  # type: ignore[override]
        return self._base_optimizer.step(closure)


class _Foreign:
    """No optimizer of torch at all."""

    def __init__(self, optimizer: Any) -> None:
        self.inner = optimizer
        self.param_groups = optimizer.param_groups

    def step(self) -> None:
        self.inner.step()


class _Lookahead(torch.optim.Optimizer):
    """A wrapper that is an optimizer itself: its steps run hooks."""

    def __init__(self, optimizer: Any) -> None:
        super().__init__(optimizer.param_groups, {})
        self.optimizer = optimizer

    def step(self, closure: Any = None) -> Any:  # type: ignore[override]
        return self.optimizer.step(closure)


@pytest.mark.parametrize("wrapper", [_Wrapper, _WithPlaces, _Foreign])
@pytest.mark.parametrize(
    "attach",
    [*(lambda model, other, hook=hook: hook().attach(model, other) for hook in HOOKS),
     lambda model, other: repack_after_step(other, model)],
)  # fmt: skip
def test_wrappers_that_run_no_hooks(wrapper: Any, attach: Callable[[Any, Any], object]) -> None:
    model = _sparse()
    wrapped = wrapper(_sgd(model))
    told = (wrapper.__name__, "pass the SGD that it wraps")
    assert_refused(lambda: attach(model, wrapped), TypeError, *told)


@pytest.mark.parametrize("other", [None, perceptron(), [torch.ones(1)]])
def test_no_optimizers(other: Any) -> None:
    told = (type(other).__name__, "torch.optim.Optimizer")
    assert_refused(lambda: StaticMask().attach(_sparse(), other), TypeError, *told)


def test_wrappers_that_run_hooks() -> None:
    model = _sparse()
    optimizer = _Lookahead(_sgd(model))
    dynamic = DynamicMask(every=1).attach(model, optimizer)
    _step(model, optimizer)
    assert dynamic.steps == 1


# Weights that come later


@pytest.mark.parametrize("hook", HOOKS)
def test_parameters_that_are_added_later(hook: Any) -> None:
    model = _sparse()
    optimizer = _sgd(model[0])
    attached = hook().attach(model, optimizer)
    _step(model, optimizer)
    assert attached.layers == ["0"]
    optimizer.add_param_group({"params": list(model[2].parameters())})
    _step(model, optimizer)
    assert attached.layers == ["0", "2"]


def test_masks_of_later_weights_are_found_anew() -> None:
    model = _sparse()
    optimizer = _sgd(model[0])
    dynamic = DynamicMask(every=1).attach(model, optimizer)
    _step(model, optimizer)
    optimizer.add_param_group({"params": list(model[2].parameters())})
    load_masks_(model, {name: ~mask for name, mask in masks(model).items()})
    _step(model, optimizer)
    weight = dense_weight(model[2]).detach()
    twin = nn.Sequential(nn.Linear(*reversed(weight.shape)))
    twin[0].weight = nn.Parameter(weight)
    sparsify_(twin, "2:4")
    assert torch.equal(masks(model)["2"], masks(twin)["0"])
    assert [record.layer for record in dynamic.statistics] == ["0", "0", "2"]


def test_later_weights_are_zeroed_and_decayed() -> None:
    model = _sparse()
    optimizer = _sgd(model[0])
    StaticMask().attach(model, optimizer)
    refined = SRSTE(0.5, form="backward").attach(model, optimizer)
    optimizer.add_param_group({"params": list(model[2].parameters())})
    _step(model, optimizer)
    assert torch.equal(dense_weight(model[2]) != 0, masks(model)["2"])
    assert masked_parametrization(model[2]).backward_decay == 0.5
    refined.detach()
    assert masked_parametrization(model[2]).backward_decay == 0.0


def test_layers_that_are_masked_later() -> None:
    model = perceptron()
    sparsify_(model, "2:4", include="0")
    optimizer = _sgd(model)
    dynamic = DynamicMask(every=1).attach(model, optimizer)
    sparsify_(model, "2:4", include="2")
    _step(model, optimizer)
    assert dynamic.layers == ["0", "2"]
    assert masked_parametrization(model[2]).mode == "straight_through"


def test_layers_that_are_masked_anew() -> None:
    model = _sparse()
    optimizer = _sgd(model)
    DynamicMask(every=1).attach(model, optimizer)
    refined = SRSTE(0.5, form="backward").attach(model, optimizer)
    remove_sparsity_(model)
    sparsify_(model, "4:8")
    _step(model, optimizer)
    for layer in (model[0], model[2]):
        assert masked_parametrization(layer).mode == "straight_through"
        assert masked_parametrization(layer).backward_decay == 0.5
    assert refined.layers == ["0", "2"]


def test_later_weights_that_cannot_be_trained_so() -> None:
    model = nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 4))
    sparsify_(model, "2:4")
    optimizer = _sgd(model[0])
    DynamicMask(schedule={0: "2:4", 9: "4:8"}).attach(model, optimizer)
    optimizer.add_param_group({"params": list(model[1].parameters())})
    before = dense_weight(model[0]).detach().clone()
    model(X).sum().backward()
    assert_refused(optimizer.step, ValueError, "layer '1'", "4:8")
    assert torch.equal(dense_weight(model[0]), before)


def test_later_weights_have_the_pattern_of_the_schedule() -> None:
    model = perceptron()
    sparsify_(model, "4:8", include="0")
    optimizer = _sgd(model)
    DynamicMask(schedule={0: "4:8", 1: "2:8"}).attach(model, optimizer)
    _step(model, optimizer)
    sparsify_(model, "4:8", include="2")
    model(X).sum().backward()
    assert_refused(optimizer.step, ValueError, "layer '2' is 4:8", "2:8")


def test_layers_of_packed_weights_take_the_place_of_others() -> None:
    model = nn.Sequential(nn.Linear(16, 16))
    sparsify_(model, "2:4")
    optimizer = _sgd(model)
    dynamic = DynamicMask(every=1).attach(model, optimizer)
    remove_sparsity_(model)
    to_sparse_linear_(model)
    _step(model, optimizer)
    assert dynamic.layers == ["0"]
    dynamic.detach()
    StaticMask().attach(model, optimizer)


# Weights that go


def _replace_weights(model: Any) -> None:
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(state, assign=True)


def _move_anew(model: Any) -> None:
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        model.double().float()
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("replace", [_replace_weights, _move_anew])
def test_weights_that_are_replaced(hook: Any, replace: Callable[[Any], None]) -> None:
    model = _sparse()
    optimizer = _sgd(model)
    attached = hook().attach(model, optimizer)
    replace(model)
    model(X).sum().backward()
    assert_refused(optimizer.step, RuntimeError, "layer '0'", hook.__name__, "build it anew")
    attached.detach()
    optimizer = _sgd(model)
    hook().attach(model, optimizer)
    _step(model, optimizer)


@pytest.mark.parametrize("hook", HOOKS)
def test_masks_that_are_removed(hook: Any) -> None:
    model = _sparse()
    optimizer = _sgd(model)
    attached = hook().attach(model, optimizer)
    _step(model, optimizer)
    assert remove_sparsity_(model) == ["0", "2"]
    model(X).sum().backward()
    assert_refused(optimizer.step, RuntimeError, "layer '0' has no mask", "detach()")
    attached.detach()
    optimizer.step()
    assert attached.layers == []


@pytest.mark.parametrize("hook", HOOKS)
def test_frozen_weights_stay_as_they_are(hook: Any) -> None:
    model = _sparse()
    optimizer = _sgd(model)
    hook().attach(model, optimizer)
    optimizer.zero_grad()
    dense_weight(model[0]).requires_grad_(False)
    before = dense_weight(model[0]).detach().clone()
    _step(model, optimizer)
    assert torch.equal(dense_weight(model[0]), before)


def test_a_layer_has_one_decay() -> None:
    model = _sparse()
    optimizer = _sgd(model)
    SRSTE().attach(model, optimizer)
    assert_refused(lambda: SRSTE().attach(model, optimizer), ValueError, "'0'", "SRSTE")


def test_broken_masks_are_refused_before_anything_is_attached() -> None:
    model = _sparse()
    masked_parametrization(model[2]).mask.fill_(True)
    before = dense_weight(model[0]).detach().clone()
    static = StaticMask()
    assert_refused(lambda: static.attach(model, _sgd(model)), ValueError, "layer '2'", "2:4")
    assert not static.is_attached
    assert torch.equal(dense_weight(model[0]), before)
