"""A model whose weights fade computes the same after its state was loaded elsewhere."""

from __future__ import annotations

import copy
import io

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from tnm_core.torch import DynamicMask, sparsify_  # noqa: E402

TOTAL = 10


def _trained(steps: int) -> tuple[nn.Module, torch.optim.Optimizer, DynamicMask]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 16))
    sparsify_(model, "2:4")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    dynamic = DynamicMask.fading(TOTAL, warm=0.2, until=0.8).attach(model, optimizer)
    for _ in range(steps):
        _step(model, optimizer)
    return model, optimizer, dynamic


def _step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.ones(4, 16)).square().mean().backward()
    optimizer.step()


def _fresh() -> nn.Module:
    model = nn.Sequential(nn.Linear(16, 16))
    sparsify_(model, "2:4")
    return model


@pytest.mark.parametrize("steps", [1, 3, 5, 8, 9])
def test_evaluation(steps: int) -> None:
    model, _, _ = _trained(steps)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    loaded = _fresh()
    loaded.load_state_dict(torch.load(file, weights_only=True))
    for one in (loaded, copy.deepcopy(model)):
        for mode in (True, False):
            inputs = torch.randn(4, 16)
            assert torch.equal(one.train(mode)(inputs), model.train(mode)(inputs))


def test_older_files_hold_masked_weights() -> None:
    model, _, _ = _trained(5)
    state = {key: value for key, value in model.state_dict().items() if not key.endswith("leak")}
    loaded, expected = _fresh(), _trained(TOTAL)[0]
    loaded.load_state_dict(state)
    assert loaded[0].parametrizations.weight[0].mode == "masked"
    expected.load_state_dict(state)
    assert expected[0].parametrizations.weight[0].mode == "masked"


def test_weights_alone_leave_the_phase_alone() -> None:
    model, _, _ = _trained(5)
    before = model[0].parametrizations.weight[0].leak.clone()
    weights = {key: value for key, value in model.state_dict().items() if "0.mask" not in key}
    del weights["0.parametrizations.weight.0.pattern"], weights["0.parametrizations.weight.0.leak"]
    model.load_state_dict(weights, strict=False)
    masked = model[0].parametrizations.weight[0]
    assert masked.mode == "fading"
    assert torch.equal(masked.leak, before)


def test_training_keeps_its_own_phase() -> None:
    """A state that is loaded into a model in training does not move the schedule."""
    model, optimizer, dynamic = _trained(9)
    early = _trained(1)[0].state_dict()
    model.load_state_dict(early)
    _step(model, optimizer)
    assert dynamic.steps == TOTAL
    assert model[0].parametrizations.weight[0].mode == "masked"
