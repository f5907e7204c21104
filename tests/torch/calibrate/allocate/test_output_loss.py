"""How far a model's outputs move, against a naive computation; and scanning layers by that."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tnm_core.torch.calibrate.allocate.output_loss
from tnm_core.torch.calibrate import collect_statistics
from tnm_core.torch.calibrate.allocate import (
    allocate,
    output_change,
    sensitivity_scan,
)

Pair = namedtuple("Pair", ["first", "second"])


@dataclass
class Answer:
    values: Any
    scores: Any = None


@dataclass
class Ordered(OrderedDict):  # type: ignore[type-arg]
    """A mapping that is a dataclass, too, and holds no field that is None: as in transformers."""

    values: Any = None
    scores: Any = None

    def __post_init__(self) -> None:
        self.update({k: v for k, v in vars(self).items() if v is not None})


# What a model returns, made of two tensors; and whether both are in it.
RETURNED: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "tensor": (lambda a, b: a, 1),
    "tuple": (lambda a, b: (a, None, "text", b), 2),
    "list": (lambda a, b: [[], [a, [b]]], 2),
    "namedtuple": (Pair, 2),
    "mapping": (lambda a, b: {"ids": torch.arange(3), "a": {"deep": a}, 7: (b, b > 0)}, 2),
    "dataclass": (Answer, 2),
    "dataclass with None": (lambda a, b: Answer(a), 1),
    "model output": (Ordered, 2),
    "object in tuple": (lambda a, b: (object(), a), 1),
}


class Heads(nn.Module):
    """Two outputs of different sizes and units."""

    def __init__(self, returned: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.body, self.first, self.second = nn.Linear(5, 8), nn.Linear(8, 3), nn.Linear(8, 2)
        self.drop = nn.Dropout(0.5)
        self.returned = returned

    def forward(self, x: Any) -> Any:
        hidden = self.drop(torch.tanh(self.body(x)))
        return self.returned(self.first(hidden) + 2.0, 1000.0 * self.second(hidden))


def _naive(dense: list[Any], moved: list[Any]) -> float:
    """Of lists of batches of one output."""
    before, after = (
        np.concatenate([one.detach().double().numpy().ravel() for one in of])
        for of in (dense, moved)
    )
    return float(((after - before) ** 2).sum() / ((before - before.mean()) ** 2).sum())


def _moved(model: Any) -> Any:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


@pytest.mark.parametrize("chunk", [7, 1 << 20])
@pytest.mark.parametrize("kind", RETURNED)
def test_the_change_is_that_of_a_naive_computation(
    kind: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tnm_core.torch.calibrate.allocate.output_loss, "_CHUNK", chunk)
    returned, count = RETURNED[kind]
    model = Heads(returned)
    batches = [torch.randn(size, 5) for size in (6, 11, 1)]
    change = output_change(model, batches)
    assert change(model) == 0.0

    def outputs() -> list[list[Any]]:
        kept, model.returned = model.returned, lambda a, b: (a, b)
        found = [model.eval()(batch) for batch in batches]
        model.returned = kept
        return [[one[index] for one in found] for index in range(count)]

    dense = outputs()
    _moved(model)
    expected = np.mean([_naive(a, b) for a, b in zip(dense, outputs(), strict=True)])
    assert expected > 0.001
    assert change(model) == pytest.approx(expected, rel=1e-9)
    assert change(model) == change(model)


class Tokens(nn.Module):
    """Outputs with and without tokens; NaN where there is padding."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.last = nn.Embedding(20, 6), nn.Linear(6, 6)

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        hidden = self.last(self.words(input_ids))
        spoilt = hidden.masked_fill(attention_mask[:, :, None] == 0, float("nan"))
        return {
            "tokens": spoilt,
            "scores": spoilt.sum(2),
            "sentence": hidden.nan_to_num().sum(1),
            "classes": hidden.nan_to_num().sum(1).repeat(1, 2)[:, :7],
            "heads": torch.einsum("btf,bsf->bts", hidden, hidden)[:, None],
        }


def test_padding_is_left_out() -> None:
    model, batches = Tokens(), []
    for samples, tokens in ((4, 7), (3, 5)):
        mask = (torch.arange(tokens) < torch.arange(samples)[:, None] + 2).long()
        ids = torch.randint(20, (samples, tokens))
        batches.append({"input_ids": ids, "attention_mask": mask})
    change = output_change(model, batches)
    dense = [model(**batch) for batch in batches]
    _moved(model)
    moved = [model(**batch) for batch in batches]
    expected = []
    assert dense[0]["classes"].shape == batches[0]["input_ids"].shape  # by chance
    for name in ("tokens", "scores", "sentence", "classes", "heads"):
        pair = [
            [
                one[name][batch["attention_mask"].bool()]
                if name in ("tokens", "scores")
                else one[name]
                for one, batch in zip(of, batches, strict=True)
            ]
            for of in (dense, moved)
        ]
        expected.append(_naive(*pair))
    assert change(model) == pytest.approx(np.mean(expected), rel=1e-9)

    def first_token(batch: Any) -> Any:
        return torch.arange(batch["input_ids"].shape[1]).expand_as(batch["input_ids"]) == 0

    def sum_of_tokens(of: Any, batch: Any) -> Any:
        return of(**batch)["tokens"]

    change = output_change(model, batches, forward=sum_of_tokens, rows=first_token)
    dense = [model(**batch)["tokens"][:, 0] for batch in batches]
    _moved(model)
    moved = [model(**batch)["tokens"][:, 0] for batch in batches]
    assert change(model) == pytest.approx(_naive(dense, moved), rel=1e-9)
    with pytest.raises(ValueError, match="NaN or infinite values in its output 'tokens'"):
        output_change(model, batches, rows=lambda batch: None)


class Watched(Heads):
    """Notes how it is run; fails where inputs are large."""

    def __init__(self) -> None:
        super().__init__(Pair)
        self.seen: list[tuple[bool, bool, bool]] = []
        self.train()
        self.body.eval()

    def forward(self, x: Any) -> Any:
        self.seen.append((self.training, self.drop.training, torch.is_grad_enabled()))
        if x.max() > 1e6:
            raise RuntimeError("too much")
        return super().forward(x)


def test_modes_gradients_and_the_model_stay() -> None:
    model, other = Watched(), Watched()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    batches = [torch.randn(4, 5), torch.randn(4, 5)]
    change = output_change(model, batches)
    assert change(other) > 0.1
    batches[1].fill_(1e7)
    with pytest.raises(RuntimeError, match="too much"):
        change(other)
    with pytest.raises(RuntimeError, match="too much"):
        output_change(model, batches)
    for one in (model, other):
        assert one.seen == [(False, False, False)] * 4
        assert (one.training, one.drop.training, one.body.training) == (True, True, False)
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])


def test_loaders_that_give_other_batches_when_read_again() -> None:
    model = Heads(Pair)
    data = torch.utils.data.TensorDataset(torch.randn(64, 5))
    shuffled = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)
    assert output_change(model, shuffled)(model) == 0.0
    generator = (torch.randn(4, 5) for _ in range(3))
    change = output_change(model, generator)
    assert change(model) == 0.0
    assert change(_moved(model)) > 0.001


def test_wrapped_models_are_run_as_what_is_inside() -> None:
    class Compiled(nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self._orig_mod = inner

        def forward(self, x: Any) -> Any:
            raise AssertionError("not the model itself")

    model = Heads(Pair)
    assert output_change(Compiled(model), [torch.randn(4, 5)])(Compiled(model)) == 0.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_sums_are_in_float64(dtype: Any) -> None:
    """Squares of these outputs overflow in float16, and their sum is no float32."""
    dense = (300 + 40 * torch.randn(50, 100)).to(dtype)
    moved = (dense.float() * (1 + 0.1 * torch.randn(50, 100))).to(dtype)
    returned = [dense]
    change = output_change(nn.Identity(), [0], forward=lambda model, batch: returned[0])
    returned[0] = moved
    assert change(nn.Identity()) == pytest.approx(_naive([dense], [moved]), rel=1e-12)


def test_units_do_not_matter() -> None:
    x, unit = torch.randn(30, 5), [1.0]
    change = output_change(nn.Identity(), [x], forward=lambda model, batch: model(batch))
    assert change(nn.Hardtanh()) > 0.01
    for unit[0] in (2.0**-40, 2.0**40):
        scaled = output_change(
            nn.Identity(), [x], forward=lambda model, batch: unit[0] * model(batch)
        )
        assert scaled(nn.Hardtanh()) == pytest.approx(change(nn.Hardtanh()), rel=1e-12)


def test_a_model_that_keeps_what_it_returns() -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 5))

        def forward(self, x: Any) -> Any:
            return self.weight

    model = Table()
    change = output_change(model, [torch.ones(1)])
    assert change(_moved(model)) > 1e-4


def _returns(*values: Any) -> Callable[[Any, Any], Any]:
    """A forward that returns the values one after the other, then the last one."""
    left = list(values)
    return lambda model, batch: left.pop(0) if len(left) > 1 else left[0]


def test_outputs_that_do_not_vary() -> None:
    """Constants are compared with their size; zeros and scalars beside others are left out."""
    one, ramp = torch.ones(3, 4), torch.arange(12.0).reshape(3, 4)
    tenth = torch.full((3, 4), 0.1)  # whose mean in float64 is not quite it
    loss, zero = torch.tensor(5.0), torch.zeros(3, 4)
    for dense, moved, expected in (
        (one, 1.5 * one, 0.25),
        (tenth, 1.5 * tenth, 0.25),
        (loss, 1.5 * loss, 0.25),
        ((one, zero), (1.5 * one, one), 0.25),
        ((loss, one), (100 * loss, 1.5 * one), 0.25),
        ((one, ramp), (1.5 * one, ramp), 0.125),
        ({"loss": loss}, {"loss": 3 * loss}, 4.0),
    ):
        change = output_change(nn.Identity(), [0], forward=_returns(dense, moved))
        assert change(nn.Identity()) == pytest.approx(expected, rel=1e-6)
    # Batches of different losses, and nothing else.
    change = output_change(nn.Identity(), [0, 1], forward=_returns(loss, 2 * loss, loss))
    assert change(nn.Identity()) == pytest.approx(25 / 12.5)


def test_outputs_that_are_not_finite_have_infinite_loss() -> None:
    good = torch.arange(6.0)
    for bad in (float("nan"), float("inf"), -float("inf")):
        spoilt = good.clone()
        spoilt[2] = bad
        change = output_change(nn.Identity(), [0], forward=_returns(good, spoilt))
        assert change(nn.Identity()) == float("inf")


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (7, "the model returns a int, expected a floating-point tensor, or"),
        (None, "the model returns a NoneType"),
        (torch.arange(3), r"the model returns a tensor of torch\.int64"),
        ((torch.arange(3), "x"), "the model returns a tuple"),
        (torch.tensor([1.0, float("nan")]), "returns NaN or infinite values, expected finite ones"),
        ({"a": [torch.tensor(float("inf"))]}, r"infinite values in its output 'a\.0', expected"),
        (torch.zeros(3), "returns nothing but zeros, expected outputs that pruning can change"),
        (torch.zeros(0, 3), "returns nothing but zeros"),
    ],
)
def test_outputs_that_are_refused(returned: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        output_change(nn.Identity(), [0], forward=lambda model, batch: returned)


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match="batches is a int, expected a list of batches"):
        output_change(nn.Identity(), 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="batches holds no batch, expected at least one"):
        output_change(nn.Identity(), [])
    shape = r"returns shape \(2,\) in its output '0' where the dense model returns shape \(3,\)"
    for moved, told in (((torch.ones(2),), shape), ((), "returns a tuple, expected"),
                        ({"b": torch.ones(3)}, "returns nothing in its output '0'")):  # fmt: skip
        change = output_change(nn.Identity(), [0], forward=_returns((torch.ones(3),), moved))
        with pytest.raises(ValueError, match=told):
            change(nn.Identity())


class Gated(nn.Module):
    """Two layers of which the outputs count fully, and not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.ignored, self.little = (nn.Linear(16, 16) for _ in range(3))

    def forward(self, x: Any) -> Any:
        return self.used(x) + 0.0 * self.ignored(x) + 0.01 * self.little(x)


def test_a_scan_orders_layers_by_what_the_model_does_with_them() -> None:
    model = Gated()
    with torch.no_grad():
        # A layer that 1:4 suits well: its own error is the least.
        kept = torch.arange(16)[:, None] % 4 == torch.arange(16) % 4
        model.used.weight.copy_(torch.where(kept, 1.0, 0.1) * torch.randn(16, 16).sign())
    data = [torch.randn(64, 16) for _ in range(3)]
    statistics = collect_statistics(model, data)
    assert tuple(statistics.layers) == ("used", "ignored", "little")
    own = sensitivity_scan(model, statistics, ["1:4", "2:4"])
    assert own.loss[0, 1] < min(own.loss[1:, 1])
    assert own.loss[1, 2] > 0.05
    change = output_change(model, data[:2])
    scan = sensitivity_scan(model, statistics, ["1:4", "2:4"], evaluate=change)
    assert (scan.loss[1] == 0.0).all()
    assert (scan.loss[2, 1:] > 0).all()
    assert (scan.loss[2, 1:] < 1e-2 * scan.loss[0, 1:]).all()
    # Two dense layers and one of 1:4: each measure has it that another one is pruned.
    assert allocate(own, 0.75).patterns["used"] == "1:4"
    found = allocate(scan, 0.75)
    assert found.patterns["used"] == "dense"
    assert found.patterns["ignored"] == "1:4"
    again = sensitivity_scan(model, statistics, ["1:4", "2:4"], evaluate=change)
    np.testing.assert_array_equal(again.loss, scan.loss)
