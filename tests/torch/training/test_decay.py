"""Decay of pruned weights: what rounds it away, what cancels it, and what is said."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from tnm_core.torch import SRSTE, DynamicMask, masks, sparsify_  # noqa: E402
from tnm_core.torch.training.decay_debt import Debt  # noqa: E402

NEVER = 10**6


def _still_model(dtype: torch.dtype, lr: Any) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Make a model that nothing but decay moves."""
    model = nn.Sequential(nn.Linear(64, 64, bias=False)).to(dtype)
    sparsify_(model, "2:4")
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return model, torch.optim.SGD(model.parameters(), lr=lr)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("lr", [1e-3, torch.tensor(1e-3)])
def test_small_shares_add_up(dtype: torch.dtype, lr: Any) -> None:
    model, optimizer = _still_model(dtype, lr)
    DynamicMask(every=NEVER).attach(model, optimizer)
    decay = SRSTE(0.2, form="decoupled").attach(model, optimizer)
    weight = model[0].parametrizations.weight.original
    before, kept = weight.detach().double(), masks(model)["0"]
    for _ in range(1000):
        optimizer.step()
    shrunk = weight.detach().double() / before
    assert (shrunk[kept] == 1).all()
    # bfloat16 rounds each of the few steps by up to half of its spacing.
    taken = 1000 * 2e-4 - decay.state_dict()["debts"]["0"]
    assert taken > 0.16
    assert shrunk[~kept].mean().item() == pytest.approx(math.exp(-taken), abs=0.008)


@pytest.mark.parametrize("form", ["gradient", "decoupled"])
def test_pruned_weights_shrink_whether_a_loss_is_minimized_or_not(form: Any) -> None:
    model = nn.Sequential(nn.Linear(8, 8, bias=False))
    sparsify_(model, "2:4")
    weight = model[0].parametrizations.weight.original
    weight.grad = torch.zeros_like(weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, maximize=True)
    SRSTE(0.1, form=form).attach(model, optimizer)
    before, kept = weight.detach().clone(), masks(model)["0"]
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.where(kept, before, 0.9 * before))


def test_the_backward_form_refuses_to_maximize() -> None:
    model = nn.Sequential(nn.Linear(8, 8))
    sparsify_(model, "2:4")
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, maximize=True)
    decay = SRSTE(0.1, form="backward")
    with pytest.raises(ValueError, match="optimizer maximizes by layer '0', expected form='grad"):
        decay.attach(model, optimizer)
    assert not decay.is_attached
    SRSTE(0.1).attach(model, optimizer)


def test_debt_of_a_device() -> None:
    """Where only the device knows what is left out, it decides what is due."""
    host, device = Debt(), Debt()
    taken = []
    for step in range(100):
        left_out = step % 3 == 0
        host.add(1e-3, left_out)
        device.add(1e-3, torch.tensor(left_out))
        mine, its = host.take(torch.bfloat16), device.take(torch.bfloat16)
        assert float(its) == pytest.approx(mine or 0.0)
        taken.append(float(its))
    assert sum(taken) + float(device.share) == pytest.approx(0.066, rel=1e-5)
    assert sum(share > 0 for share in taken) == 2


def test_what_is_owed_is_saved() -> None:
    shrunk = []
    for resumed in (False, True):
        torch.manual_seed(0)
        model, optimizer = _still_model(torch.bfloat16, 1e-3)
        dynamic = DynamicMask(every=NEVER).attach(model, optimizer)
        decay = SRSTE(1.0, form="decoupled").attach(model, optimizer)
        for step in range(30):
            if resumed and step == 10:
                state = decay.state_dict()
                assert state["debts"] == {"0": pytest.approx(10e-3)}
                decay.detach()
                decay = SRSTE(1.0, form="decoupled").attach(model, optimizer)
                decay.load_state_dict(state)
            optimizer.step()
        assert dynamic.steps == 30
        shrunk.append(model[0].parametrizations.weight.original.detach().clone())
    assert torch.equal(*shrunk)


@pytest.mark.parametrize("form", ["gradient", "backward", "decoupled"])
@pytest.mark.parametrize("kind", ["Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "SGD", "ASGD"])
def test_cancelled_decay_warns(kind: str, form: Any) -> None:
    model = nn.Sequential(nn.Linear(8, 8))
    sparsify_(model, "2:4")
    optimizer = getattr(torch.optim, kind)(model.parameters(), lr=1e-3)
    DynamicMask().attach(model, optimizer)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        SRSTE(form=form).attach(model, optimizer)
    cancelled = form != "decoupled" and kind not in ("SGD", "ASGD")
    assert [kind in str(one.message) for one in told] == [True] * cancelled


def test_no_warning_without_decay() -> None:
    model = nn.Sequential(nn.Linear(8, 8))
    sparsify_(model, "2:4")
    optimizer = torch.optim.Adam(model.parameters())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SRSTE(0.0).attach(model, optimizer)
