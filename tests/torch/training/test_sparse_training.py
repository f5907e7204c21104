"""One line that chooses layers, recipe and phases: what it chooses, and what it refuses."""

from __future__ import annotations

import io
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from tnm_core.torch import (  # noqa: E402
    SRSTE,
    DynamicMask,
    StaticMask,
    dense_state_dict,
    masks,
    prune_model_,
    sparsify_,
    to_sparse_linear_,
    train_sparse_,
)

TOTAL = 20


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3)
    )


def _adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=1e-2)


def _step(model: nn.Module, optimizer: Any, seed: int = 0) -> None:
    inputs = torch.randn(16, 32, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    model(inputs).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize(
    ("recipe", "phases"),
    [
        ("auto", ["dense"] * 2 + ["fading"] * 10 + ["masked"] * 9),
        ("fading", ["dense"] * 2 + ["fading"] * 10 + ["masked"] * 9),
        ("late_static", ["dense"] * 12 + ["masked"] * 9),
        ("static", ["masked"] * 21),
        ("sr_ste", ["straight_through"] * 21),
    ],
)
def test_phases(recipe: Any, phases: list[str]) -> None:
    model = _model()
    optimizer = _adam(model)
    training = train_sparse_(model, optimizer, "2:4", total_steps=TOTAL, recipe=recipe)
    seen = [training.phase]
    for step in range(TOTAL):
        _step(model, optimizer, step)
        seen.append(training.phase)
        modes = {model[k].parametrizations.weight[0].mode for k in (0, 2)}
        assert modes == {training.phase}
    assert seen == phases
    assert training.steps == TOTAL
    assert training.layers == ["0", "2"]
    assert [layer.name for layer in training.report.skipped] == ["4"]
    for name, mask in masks(model).items():
        kept = model[int(name)].weight != 0
        assert torch.equal(kept, kept & mask)


def test_what_is_chosen_is_told() -> None:
    model = _model()
    training = train_sparse_(model, _adam(model), "2:4", total_steps=10_000)
    assert str(training) == (
        "2:4 on 2 layers (1 left dense), fading: dense until step 1000, pruned weights fade out "
        "until step 6000 with masks found anew every 10 steps, then masks fixed until step 10000"
    )
    assert repr(training) == f"SparseTraining({str(training)!r})"


@pytest.mark.parametrize(
    ("recipe", "before", "told"),
    [
        ("fading", "masked", "then masks fixed until step 16, then dense until step 20"),
        ("late_static", "masked", "then masks fixed until step 16, then dense until step 20"),
        ("sr_ste", "straight_through", "decay of 0.02, then dense until step 20"),
    ],
)
def test_the_end_can_be_dense(recipe: Any, before: str, told: str) -> None:
    model = _model()
    optimizer = _adam(model)
    training = train_sparse_(
        model, optimizer, "2:4", total_steps=TOTAL, recipe=recipe, dense_from=16
    )
    assert str(training).endswith(told)
    phases = []
    for step in range(TOTAL):
        phases.append(training.phase)
        _step(model, optimizer, step)
    assert phases[15:17] == [before, "dense"]
    assert training.phase == "dense"
    weight = dense_state_dict(model)["0.weight"]
    assert weight.count_nonzero() == weight.numel()


def test_an_end_that_cannot_be_dense_is_refused() -> None:
    model = _model()
    for recipe, dense_from, named in (("static", 9, "fixed masks"), ("fading", TOTAL, "less than")):
        with pytest.raises(ValueError, match=named):
            train_sparse_(
                model, _adam(model), total_steps=TOTAL, recipe=recipe, dense_from=dense_from
            )
        assert not masks(model)


def test_decay_follows_the_optimizer() -> None:
    forms = []
    for make in (_adam, lambda model: torch.optim.SGD(model.parameters(), lr=0.1)):
        model = _model()
        training = train_sparse_(model, make(model), total_steps=TOTAL, recipe="sr_ste")
        assert isinstance(training.decay, SRSTE)
        forms.append((training.decay.form, training.decay.decay))
        assert f"{training.decay.form} decay of {training.decay.decay:g}" in str(training)
    assert forms == [("decoupled", 2e-2), ("gradient", 2e-4)]


def test_masks_that_are_there_stay() -> None:
    """A calibrated model is trained with the masks that it has."""
    model = _model()
    prune_model_(model, [torch.randn(64, 32)], "2:4", recipe="magnitude")
    before = masks(model)
    optimizer = _adam(model)
    training = train_sparse_(model, optimizer, "2:4", total_steps=TOTAL)
    assert (training.recipe, training.report) == ("static", None)
    assert isinstance(training.masks, StaticMask)
    for step in range(3):
        _step(model, optimizer, step)
    assert all(torch.equal(mask, before[name]) for name, mask in masks(model).items())
    assert str(training) == "2:4 on 2 layers, static: masks fixed until step 20"


def test_packed_layers() -> None:
    model = _model()
    to_sparse_linear_(model, "2:4", backend="emulate")
    training = train_sparse_(model, _adam(model), "2:4", total_steps=TOTAL)
    assert training.recipe == "static"


@pytest.mark.parametrize("recipe", ["fading", "late_static", "static", "sr_ste"])
def test_resuming(recipe: Any) -> None:
    """Saved in the middle and loaded into fresh objects, training ends where it would have."""

    def run(interrupted_at: int) -> list[torch.Tensor]:
        model = _model()
        optimizer = _adam(model)
        training = train_sparse_(model, optimizer, "2:4", total_steps=TOTAL, recipe=recipe)
        for step in range(TOTAL):
            if step == interrupted_at:
                file = io.BytesIO()
                parts = (model, optimizer, training)
                torch.save([part.state_dict() for part in parts], file)
                file.seek(0)
                model = _model()
                optimizer = _adam(model)
                training = train_sparse_(model, optimizer, "2:4", total_steps=TOTAL, recipe=recipe)
                states = torch.load(file, weights_only=True)
                for part, state in zip((model, optimizer, training), states, strict=True):
                    part.load_state_dict(state)
                assert training.steps == step
            _step(model, optimizer, step)
        return [parameter.detach() for parameter in model.parameters()]

    whole = run(TOTAL)
    for middle in (2, 9, 17):
        for one, other in zip(run(middle), whole, strict=True):
            assert torch.equal(one, other)


def test_state_of_another_training() -> None:
    model, other = _model(), _model()
    state = train_sparse_(model, _adam(model), total_steps=TOTAL).state_dict()
    training = train_sparse_(other, _adam(other), total_steps=2 * TOTAL)
    with pytest.raises(ValueError, match="total_steps 20, expected 40"):
        training.load_state_dict(state)
    other = _model()
    training = train_sparse_(other, _adam(other), total_steps=TOTAL, recipe="static")
    with pytest.raises(ValueError, match="recipe 'fading', expected 'static'"):
        training.load_state_dict(state)


def test_detach() -> None:
    model = _model()
    optimizer = _adam(model)
    training = train_sparse_(model, optimizer, total_steps=TOTAL, recipe="sr_ste")
    training.detach()
    assert not training.masks.is_attached
    _step(model, optimizer)
    assert training.steps == 0
    train_sparse_(model, optimizer, total_steps=TOTAL)  # which it could not if they were attached


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"total_steps": 1}, "total_steps is 1, expected at least 2"),
        ({"total_steps": TOTAL, "recipe": "magic"}, "recipe is 'magic', expected one of auto"),
        ({"total_steps": TOTAL, "pattern": "64:128"}, "no layer is selected"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    model = _model()
    with pytest.raises(ValueError, match=message):
        train_sparse_(model, _adam(model), **arguments)
    assert masks(model) == {}


def test_what_fails_leaves_the_model_alone() -> None:
    model, other = _model(), _model()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with pytest.raises(ValueError, match="the optimizer has none of the 2 sparse weights"):
        train_sparse_(model, _adam(other), total_steps=TOTAL)
    assert masks(model) == {}
    assert all(map(torch.equal, model.parameters(), before))
    with pytest.raises(TypeError, match=r"expected a torch\.optim\.Optimizer"):
        train_sparse_(model, "adam", total_steps=TOTAL)  # type: ignore[arg-type]
    assert masks(model) == {}


def test_other_masks_than_asked_for() -> None:
    model = _model()
    sparsify_(model, "4:8")
    with pytest.raises(ValueError, match="layer '0' is 4:8 sparse already, expected 2:4"):
        train_sparse_(model, _adam(model), "2:4", total_steps=TOTAL)


def test_row_wise() -> None:
    model = _model()
    optimizer = _adam(model)
    training = train_sparse_(model, optimizer, "row 2:4", total_steps=TOTAL)
    assert isinstance(training.masks, DynamicMask)
    for step in range(TOTAL):
        _step(model, optimizer, step)
    assert (model[0].weight.view(64, 8, 4) != 0).sum(2).eq(2).all()
    assert len(training.statistics) > 0
