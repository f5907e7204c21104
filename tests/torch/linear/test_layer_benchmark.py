"""benchmark_layer, its table and ``tnm bench linear``; figures themselves are not asserted."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import json
import pkgutil
from pathlib import Path

import pytest
import torch

import tnm_core.torch
from tests.support.torch_layers import make_layer
from tnm_core.torch import Speed, SpeedTable, benchmark_layer
from tnm_core.torch.linear.layer_benchmark import LayerBenchmark, PartTiming

PARTS = [
    "dense forward",
    "dense input gradient",
    "weight gradient",
    "sparse forward",
    "sparse input gradient",
    "packing",
]
SPEED = Speed("a GPU", "bfloat16", 64, 32, 16, "2:4", "cusparselt", 1.5)


@pytest.mark.parametrize("backend", ["auto", "emulate"])
def test_every_part_is_measured(backend: str) -> None:
    layer = make_layer(32, 64, backend=backend)
    before, memory = layer.weight.detach().clone(), layer.packed_values.data_ptr()
    result = benchmark_layer(layer, 24, seconds=0.002)
    assert [part.part for part in result.parts] == PARTS
    assert all(part.seconds > 0 for part in result.parts)
    assert all(part.graph_seconds is None for part in result.parts), "no CUDA, no CUDA graphs"
    assert result.graph_speedup is None
    assert result.backend == ("dense" if backend == "auto" else "emulate")
    assert (result.device, result.dtype) == ("cpu", "float32")
    assert (result.pattern, result.shape, result.tokens) == ("2:4", (32, 64), 24)
    assert torch.equal(layer.weight, before)
    assert layer.packed_values.data_ptr() == memory
    assert layer.weight.grad is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.tokens = 1  # type: ignore[misc]


def _result(sparse: float, graph: float | None) -> LayerBenchmark:
    seconds = (1.0, 1.0, 1.0, sparse, sparse, 0.4)
    graphs = (1.0, 1.0, 1.0, graph, graph, 0.4) if graph is not None else (None,) * 6
    parts = tuple(map(PartTiming, PARTS, seconds, graphs))
    algorithms = ((3, 1, -1), (7, 2, 1))
    return LayerBenchmark("a GPU", "bfloat16", "2:4", "cusparselt", (64, 32), 16, parts, algorithms)


def test_verdicts() -> None:
    """Of a whole step: the dense weight gradient counts on both sides."""
    slow, fast = _result(0.9, None), _result(0.6, 0.3)
    assert not slow.worthwhile
    assert slow.dense_seconds == pytest.approx(3.0)
    assert slow.sparse_seconds == pytest.approx(3.2)
    assert slow.speedup == pytest.approx(3 / 3.2)
    included = ", weight gradient and packing included"
    assert slow.verdict() == f"stay dense: 0.94x the dense speed{included}"
    assert fast.worthwhile
    assert fast.speedup == pytest.approx(3 / 2.6)
    assert fast.graph_speedup == pytest.approx(3 / 2.0)
    assert fast.verdict().startswith("use the sparse layer: 1.15x the dense speed (1.50x with")
    assert "sparse forward: 600.000 ms, 300.000 ms in a CUDA graph" in str(fast)
    assert "whole step: dense 3000.000 ms, sparse 2600.000 ms" in str(fast)
    assert fast.parts[3].best_seconds == 0.3
    found = json.loads(json.dumps(fast.as_json()))
    assert found["worthwhile"] is True
    assert (found["dense_seconds"], found["sparse_seconds"]) == (3.0, pytest.approx(2.6))
    assert fast.as_speed().worthwhile
    assert fast.as_speed().algorithms == ((3, 1, -1), (7, 2, 1))


def test_a_masked_gradient_is_part_of_the_sparse_step_alone() -> None:
    layer = make_layer(32, 64, backend="emulate", masked_gradient=True)
    result = benchmark_layer(layer, 8, seconds=0.001)
    seconds = {part.part: part.seconds for part in result.parts}
    assert [*seconds] == [*PARTS[:-1], "gradient mask", "packing"]
    assert result.dense_seconds == pytest.approx(sum(seconds[part] for part in PARTS[:3]))
    of_sparse = [*PARTS[2:5], "gradient mask", "packing"]
    assert result.sparse_seconds == pytest.approx(sum(seconds[part] for part in of_sparse))


def test_tables_on_disk(tmp_path: Path) -> None:
    searched = dataclasses.replace(SPEED, tokens=32, algorithms=((3, 1, -1), (7, 2, 1)))
    table = SpeedTable([SPEED, searched])
    table.add(dataclasses.replace(SPEED, speedup=0.5))
    path = tmp_path / "speeds.json"
    table.save(path)
    assert list(SpeedTable.load(path)) == list(table)
    assert len(table) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["speeds.json"]
    wrong_type = json.dumps([{**dataclasses.asdict(SPEED), "speedup": "fast"}])
    algorithms = json.dumps([{**dataclasses.asdict(SPEED), "algorithms": [[1, 2, 3]]}])
    for text in ("[1]", '[{"device": "a"}]', "{", "3", wrong_type, algorithms):
        path.write_text(text)
        with pytest.raises(ValueError, match="is not a table of speeds, expected"):
            SpeedTable.load(path)


def _modules() -> list[str]:
    return [
        module.name for module in pkgutil.walk_packages(tnm_core.torch.__path__, "tnm_core.torch.")
    ]


@pytest.mark.parametrize("name", ["tnm_core.torch", *_modules()])
def test_docstring_examples(name: str) -> None:
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0
