"""to_sparse_linear_: which layers are replaced, which not and why."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import tnm_core as tnm
from tests.support import cusparselt as standins
from tests.support.torch_layers import assert_close, reference
from tnm_core.skip import SkipCode
from tnm_core.torch import SpeedTable, TransposableLinear, to_sparse_linear_
from tnm_core.torch.linear.conversion import convert as convert_module
from tnm_core.torch.linear.layer_benchmark import LayerBenchmark, PartTiming


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(32, 64)
        self.down = nn.Linear(64, 32)
        self.gate = nn.Linear(32, 3)
        self.norm = nn.LayerNorm(32)

    def forward(self, x: Any) -> Any:
        return self.norm(self.down(self.up(x).relu()))


def test_layers_are_replaced_and_parameters_stay() -> None:
    model = nn.Sequential(Block(), Block())
    model[1].eval()
    parameters = dict(model.named_parameters())
    report = to_sparse_linear_(model, "2:4", backend="emulate")
    assert dict(model.named_parameters()).keys() == parameters.keys()
    assert all(model.get_parameter(name) is value for name, value in parameters.items())
    assert sorted(report.converted) == ["0.down", "0.up", "1.down", "1.up"]
    for name, layer in report.converted.items():
        module = model.get_submodule(name)
        assert type(module) is TransposableLinear
        assert module.layer_name == name
        assert (layer.backend, layer.reason, layer.density) == ("emulate", "asked for", 0.5)
        assert tnm.is_transposable(module.mask.numpy(), 2, 4)
    assert model[0].up.training
    assert not model[1].up.training
    assert report.skipped == {
        f"{block}.gate": "out_features is 3, expected at least m = 4 for one 4 x 4 tile"
        for block in (0, 1)
    }
    lines = str(report).splitlines()
    assert lines[0] == "4 layers at 2:4, 2 left alone"
    assert "  0.up: 64 x 32, density 0.5000, emulate (asked for)" in lines
    x = torch.randn(5, 32)
    assert_close(model[0].up(x), reference(model[0].up, x))


def test_include_and_exclude() -> None:
    model = nn.Sequential(Block(), Block())
    report = to_sparse_linear_(model, "4:8", include=["0.*", "*.up"], exclude="0.d*")
    assert sorted(report.converted) == ["0.up", "1.up"]
    assert report.skipped["0.down"] == "matched by exclude="
    assert report.skipped["1.down"] == "not matched by include="
    again = to_sparse_linear_(model, "4:8", include="1.*")
    assert sorted(again.converted) == ["1.down"]
    assert again.skipped["1.up"] == "is sparse already"


def test_functions_choose_and_reasons_have_codes() -> None:
    report = to_sparse_linear_(
        nn.Sequential(Block(), Block()),
        include=lambda name, layer: name.startswith("0") or layer.in_features == 64,
        exclude=lambda name, layer: name == "0.down",
    )
    assert sorted(report.converted) == ["0.up", "1.down"]
    assert {name: skip.code for name, skip in report.skips.items()} == {
        "0.down": SkipCode.EXCLUDED,
        "0.gate": SkipCode.NO_WHOLE_TILE,
        "1.up": SkipCode.NOT_INCLUDED,
        "1.gate": SkipCode.NOT_INCLUDED,
    }
    assert report.skips["0.gate"].details == {"side": "out_features", "size": 3, "m": 4}


def test_masks_that_are_given() -> None:
    model = Block()
    mask = torch.from_numpy(tnm.transposable_mask(torch.randn(64, 32).numpy(), 2, 4))
    to_sparse_linear_(model, masks={"up": mask})
    assert torch.equal(model.up.mask, mask)


def test_layers_that_are_left_alone() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(64, 32)
            self.head = nn.Linear(32, 64, bias=False)
            self.head.weight = self.embed.weight
            self.attention = nn.MultiheadAttention(32, 4)
            self.normed = parametrizations.weight_norm(nn.Linear(32, 32))
            self.hooked = nn.Linear(32, 32)
            self.hooked.register_forward_hook(lambda *_: None)
            self.encoder = nn.TransformerEncoderLayer(32, 4, 64)
            self.plain = nn.Linear(32, 32)

    model = Tied()
    report = to_sparse_linear_(model)
    assert list(report.converted) == ["plain"]
    for name, words in {
        "head": "shared with another module",
        "attention.out_proj": "NonDynamicallyQuantizableLinear",
        "normed": "has parametrizations",
        "hooked": "has hooks",
        "encoder.linear1": "set_fastpath_enabled(False)",
    }.items():
        assert words in report.skipped[name], name
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        assert "encoder.linear1" in to_sparse_linear_(model).converted
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def test_a_layer_with_two_names_stays_one() -> None:
    layer = nn.Linear(32, 32)
    model = nn.ModuleDict({"first": layer, "second": layer})
    report = to_sparse_linear_(model)
    assert sorted(report.converted) == ["first", "second"]
    assert model["first"] is model["second"]


def test_nothing_changes_if_one_layer_is_refused() -> None:
    model = Block()
    with torch.no_grad():
        model.down.weight[0, 0] = float("nan")
    before = list(model.modules())
    with pytest.raises(ValueError, match="down: no mask for its weight"):
        to_sparse_linear_(model)
    mask = torch.ones(32, 64, dtype=torch.bool)
    with pytest.raises(ValueError, match="down: mask is not transposable"):
        to_sparse_linear_(model, masks={"down": mask}, exclude="up")
    assert list(model.modules()) == before


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"pattern": "2-4"}, ValueError, "pattern is '2-4', expected n:m"),
        ({"pattern": "row 2 of 4"}, ValueError, "pattern is 'row 2 of 4', expected n:m"),
        ({"pattern": 2}, TypeError, "m is missing"),
        ({"pattern": "5:4"}, ValueError, "n is 5"),
        ({"backend": "gpu"}, ValueError, "backend is 'gpu'"),
        ({"include": "down?"}, ValueError, "include 'down?' matches no layer with a matrix"),
        ({"include": [3]}, TypeError, "include holds a int, expected shell patterns of names"),
        ({"exclude": "*"}, ValueError, "up: matched by exclude"),
        ({"pattern": "64:128"}, ValueError, "up: out_features is 64, expected at least m = 128"),
        ({"masks": {"gate": None}}, ValueError, "masks has 'gate', expected a layer to convert"),
        ({"masks": {"nowhere": None}}, ValueError, "there is no such layer"),
        ({"pattern": "4:8", "backend": "cusparselt"}, ValueError, "pattern 4:8, expected 2:4"),
    ],
)
def test_bad_arguments(options: dict[str, Any], error: type[Exception], words: str) -> None:
    model = Block()
    before = list(model.modules())
    with pytest.raises(error) as caught:
        to_sparse_linear_(model, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(model.modules()) == before


def test_a_model_that_is_one_layer() -> None:
    with pytest.raises(ValueError, match=r"the model: .* use from_linear of TransposableLinear or"):
        to_sparse_linear_(nn.Linear(32, 32))
    with pytest.raises(ValueError, match="none has a matrix"):
        to_sparse_linear_(nn.ReLU())


def test_measuring_falls_back_to_dense_without_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    """One measurement a shape; "auto" then goes by it."""
    standins.install(monkeypatch)
    measured = []

    def measure(layer: TransposableLinear, tokens: int) -> LayerBenchmark:
        measured.append((layer.out_features, tokens))
        seconds = 2.0 if layer.out_features == 64 else 0.5
        parts = ("dense forward", "dense input gradient", "sparse forward")
        timings = [PartTiming(part, 1.0, None) for part in parts]
        timings += [PartTiming("sparse input gradient", seconds, None)]
        timings += [PartTiming("packing", 0.1, None)]
        shape = (layer.out_features, layer.in_features)
        return LayerBenchmark("cpu", "bfloat16", "2:4", "cusparselt", shape, tokens, tuple(timings))

    monkeypatch.setattr(convert_module, "benchmark_layer", measure)
    model, table = nn.Sequential(Block(), Block()).bfloat16(), SpeedTable()
    report = to_sparse_linear_(model, tokens=512, speeds=table)
    assert measured == [(64, 512), (32, 512)]
    assert len(table) == 2
    found = {name: layer.backend for name, layer in report.converted.items()}
    expected = {"up": "dense", "down": "cusparselt"}
    assert found == {f"{block}.{name}": expected[name] for block in (0, 1) for name in expected}
    assert "0.65x the dense speed at 512 tokens" in report.converted["1.up"].reason
    x = torch.randn(8, 32).bfloat16()
    assert_close(model[0].up(x), reference(model[0].up, x))


class _Everything(nn.Module):
    """Matrices in all the places where a module can have some."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)
        self.linear.adapter = nn.Parameter(torch.zeros(4, 16))
        self.conv = nn.Conv2d(8, 8, 3)
        self.cell = nn.GRU(8, 8)
        self.attention = nn.MultiheadAttention(8, 2)
        self.experts = nn.ParameterList([torch.zeros(3, 8, 8)])
        self.norm = nn.LayerNorm(8)
        self.lazy = nn.LazyConv2d(8, 3)


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_nothing_is_left_dense_without_being_listed() -> None:
    model = _Everything()
    nn.utils.parametrizations.orthogonal(model.attention, "in_proj_weight")
    report = to_sparse_linear_(model, "2:4", backend="dense")
    assert list(report.converted) == ["linear"]
    assert set(report.skipped) == {
        "linear.adapter", "conv", "cell.weight_ih_l0", "cell.weight_hh_l0", "attention.out_proj",
        "attention.in_proj_weight", "experts.0", "lazy",
    }  # fmt: skip
