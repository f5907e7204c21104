"""What trains masks lives as long as its optimizer, and nothing else keeps track of it."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import pytest
import torch

from tests.torch.networks import dense_weight, perceptron
from tests.torch.refusals import assert_refused
from tnm_core.torch import SRSTE, DynamicMask, StaticMask, sparsify_


def _sparse() -> tuple[Any, Any]:
    model = perceptron()
    sparsify_(model, "2:4")
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def _step(model: Any, optimizer: Any) -> None:
    model(torch.ones(2, 16)).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("hook", [StaticMask, DynamicMask, SRSTE])
def test_hooks_end_with_the_optimizer(hook: Any) -> None:
    model, optimizer = _sparse()
    attached = weakref.ref(hook().attach(model, optimizer))
    gc.collect()
    _step(model, optimizer)
    assert attached().steps == 1
    del optimizer
    gc.collect()
    assert attached() is None


def test_layers_are_free_when_the_optimizer_is_gone() -> None:
    model, optimizer = _sparse()
    StaticMask().attach(model, optimizer)
    second = torch.optim.SGD(model.parameters(), lr=0.1)
    assert_refused(lambda: DynamicMask().attach(model, second), ValueError, "StaticMask")
    del optimizer
    gc.collect()
    dynamic = DynamicMask(every=1).attach(model, second)
    _step(model, second)
    assert dynamic.steps == 1


@pytest.mark.parametrize("hook", [StaticMask, DynamicMask, SRSTE])
def test_detaching_leaves_nothing_with_the_optimizer(hook: Any) -> None:
    model, optimizer = _sparse()
    attached = hook().attach(model, optimizer)
    attached.detach()
    attached.detach()
    reference = weakref.ref(attached)
    del attached
    gc.collect()
    assert reference() is None
    StaticMask().attach(model, optimizer)


def test_models_are_not_kept() -> None:
    model, optimizer = _sparse()
    kept = [StaticMask().attach(model, optimizer), SRSTE(0.1, form="backward")]
    kept[1].attach(model, optimizer)
    references = [weakref.ref(one) for one in (model, model[0], dense_weight(model[0]))]
    for hook in kept:
        hook.detach()
    del model, optimizer
    gc.collect()
    assert [reference() for reference in references] == [None] * 3


def test_copies_have_owners_of_their_own() -> None:
    model, optimizer = _sparse()
    StaticMask().attach(model, optimizer)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        dynamic = DynamicMask().attach(other, torch.optim.SGD(other.parameters(), lr=0.1))
        assert dynamic.is_attached
        assert_refused(lambda: DynamicMask().attach(model, optimizer), ValueError, "StaticMask")


def test_optimizers_are_copied_without_hooks() -> None:
    model, optimizer = _sparse()
    static = StaticMask().attach(model, optimizer)
    _step(*copy.deepcopy((model, optimizer)))
    assert static.steps == 0
