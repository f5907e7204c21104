"""Training steps: the models agree with float64, and dense and sparse learn alike."""

from __future__ import annotations

import pytest
import torch

from bench.products import training, training_tables
from bench.products.training_models import TrainedModel, encoder, mlp

KINDS = {"MLP": mlp(16), "encoder": encoder(16, 2, 2, 8)}


@pytest.mark.parametrize("name", KINDS)
def test_records_of_small_models(name: str) -> None:
    kind = KINDS[name]
    patterns = (None, "2:4", "row 2:4")
    learners = [training.learner(kind, pattern, training.BACKEND) for pattern in patterns]
    records = training.compare(name, kind, learners, 32, 0.0)
    assert [r["disagreement"] for r in records] == [None] * 3
    assert tuple(r["pattern"] for r in records) == patterns
    assert all(r["seconds"] > 0 for r in records)
    table = training_tables.render(records)
    assert f"| {name} | {kind.optimizer_name} | 32 | dense |" in table
    assert "agree with masked dense ones in float64" in table


@pytest.mark.parametrize("name", KINDS)
def test_every_linear_layer_becomes_sparse(name: str) -> None:
    sparse = training.learner(KINDS[name], "2:4", training.BACKEND).model
    linear = [one for one in sparse.modules() if isinstance(one, torch.nn.Linear)]
    assert len(linear) == {"MLP": 2, "encoder": 12}[name]
    assert {type(one).__name__ for one in linear} == {"TransposableLinear"}


@pytest.mark.parametrize("pattern", ["2:4", "row 2:4"])
def test_a_refresh_follows_the_weights(pattern: str) -> None:
    one = training.learner(KINDS["MLP"], pattern, training.BACKEND)
    layer = one.model[0]
    with torch.no_grad():
        layer.weight.copy_(torch.arange(layer.weight.numel()).view_as(layer.weight))
    before = layer.mask.clone()
    one.refresh()
    assert not torch.equal(layer.mask, before)
    assert training.disagreement(one.model, KINDS["MLP"], KINDS["MLP"].draw(8)) is None


@pytest.mark.parametrize("name", KINDS)
def test_a_wrong_model_is_found(name: str) -> None:
    kind: TrainedModel = KINDS[name]
    model = training.learner(kind, "2:4", training.BACKEND).model
    last = [one for one in model.modules() if isinstance(one, torch.nn.Linear)][-1]
    last.register_forward_hook(lambda module, inputs, output: output * 1.001)
    found = training.disagreement(model, kind, kind.draw(32))
    assert found is not None
    assert set(found) <= {"output", "input gradient"}


def test_speedups_of_steps() -> None:
    record = {
        "model": "MLP", "optimizer": "SGD", "tokens": 512, "pattern": None, "seconds": 0.3,
        "repack_seconds": 0.0, "refresh_seconds": 0.0, "case": "MLP, dense", "disagreement": None,
    }  # fmt: skip
    sparse = {"pattern": "2:4", "seconds": 0.2, "repack_seconds": 0.01, "refresh_seconds": 4.0}
    complaint = {"disagreement": {"output": 0.5}, "case": "MLP, 2:4"}
    table = training_tables.render([record, record | sparse | complaint])
    assert "| MLP | SGD | 512 | 2:4 | 200 | 1.50 | 5.0 % | 1.00 |" in table
    assert "**These models do not agree with float64: MLP, 2:4.**" in table
