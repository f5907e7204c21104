"""Trials on a small decoder: rotations leave it as it was, low rank is the best of its rank."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from bench.language_model_trials import __main__ as trials
from bench.language_model_trials.low_rank import DAMPING, best_of_rank, rank_of
from bench.language_model_trials.rotation import (
    _entropy,
    concentrating,
    move_scales_,
    principal_axes,
    rotate_,
)
from bench.study.runs import Results
from bench.study.study_model import Facts
from tnm_core.torch.calibrate import collect_statistics

LAYERS = "model.layers.*"


def small_decoder() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=50, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.copy_(1 + 0.3 * torch.randn(parameter.shape))
            else:
                parameter.copy_(0.3 * torch.randn(parameter.shape))
    return model


def pieces(count: int = 6) -> list[dict[str, Any]]:
    torch.manual_seed(1)
    return [{"input_ids": torch.randint(50, (4, 12))} for _ in range(count)]


@pytest.mark.parametrize("kind", ["principal", "concentrating"])
def test_a_rotated_model_computes_the_same(kind: str) -> None:
    model, batches = small_decoder(), pieces()
    with torch.no_grad():
        wanted = model(**batches[0]).logits
        move_scales_(model)
        torch.testing.assert_close(model(**batches[0]).logits, wanted, rtol=1e-3, atol=1e-4)
    statistics = collect_statistics(model, batches, include=LAYERS)
    axes = principal_axes(statistics) if kind == "principal" else concentrating(model, statistics)
    torch.testing.assert_close(axes.T @ axes, torch.eye(32), rtol=0, atol=1e-5)
    assert (axes - torch.eye(32)).abs().max() > 0.1
    before = model.model.layers[0].mlp.up_proj.weight.clone()
    with torch.no_grad():
        rotate_(model, axes)
        torch.testing.assert_close(model(**batches[0]).logits, wanted, rtol=1e-3, atol=1e-3)
    assert (model.model.layers[0].mlp.up_proj.weight - before).abs().max() > 0.01


def test_the_rotation_found_lowers_the_entropy() -> None:
    model = small_decoder()
    move_scales_(model)
    statistics = collect_statistics(model, pieces(), include=LAYERS)
    weights = {name: model.get_submodule(name).weight.detach() for name in statistics.layers}
    moments = {k: one.xx[0].float() / float(one.count) for k, one in statistics.layers.items()}
    found = concentrating(model, statistics)
    assert _entropy(found, weights, moments) < _entropy(torch.eye(32), weights, moments) - 1


def test_low_rank_is_the_best_of_its_rank() -> None:
    model = small_decoder()
    name = "model.layers.0.mlp.down_proj"
    moments = collect_statistics(model, pieces(30), include=name).layers[name]
    matrix = torch.randn(32, 64)
    hessian = moments.xx[0] / float(moments.count)
    hessian += DAMPING * hessian.diagonal().mean() * torch.eye(64)

    def error(found: torch.Tensor) -> float:
        off = (matrix - found).double()
        return float(((off @ hessian) * off).sum())

    best = best_of_rank(matrix, moments, 3)
    assert torch.linalg.matrix_rank(best, rtol=1e-4) == 3
    left, sizes, right = torch.linalg.svd(matrix)
    assert error(best) < 0.999 * error((left[:, :3] * sizes[:3]) @ right[:3])
    for seed in range(5):
        torch.manual_seed(seed)
        moved = best + 0.01 * torch.randn(32, 3) @ torch.linalg.svd(best)[2][:3]
        assert error(moved) > error(best)
    assert rank_of(576, 1536, 1 / 32) == 13
    assert rank_of(2, 2, 1 / 32) == 1


class _Study:
    """A small model in place of SmolLM2."""

    facts = Facts("small", "a small decoder", (), 4, 4, 4, 4, "pieces", head_size=8)

    def model(self) -> Any:
        return small_decoder()

    def calibration(self, seed: int, samples: int) -> list[dict[str, Any]]:
        return pieces(samples // 4)

    def measure(self, model: Any, seed: int) -> dict[str, float]:
        with torch.no_grad():
            dense, found = (one(**pieces(7)[-1]).logits for one in (small_decoder(), model))
        return {"news": 1 + float((dense - found).square().mean())}


def test_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(trials, "SmolLM2", _Study)
    monkeypatch.setattr(trials, "PIECES", 24)
    small = [trials.Trial(one.pattern, one.idea, blocks=2) for one in trials.TRIALS]
    monkeypatch.setattr(trials, "TRIALS", small)
    monkeypatch.setattr(sys, "argv", ["trials", "--trials", "2:4|dense", "--out", str(tmp_path)])
    trials.main()
    assert "2:4 low rank" in capsys.readouterr().out
    results = Results(tmp_path / "results.json", trials.Trial)
    found = {one["idea"]: one["measures"]["news"] for one in results.found}
    assert set(found) == {*trials.IDEAS, "nothing"}
    assert found["nothing"] == 1
    assert all(value > 1.0 for idea, value in found.items() if idea != "nothing")
    assert found["low rank"] < found["best"]
    assert len(set(found.values())) == len(found)
    lines = trials.table(results.found).splitlines()
    assert lines[0].startswith("| pattern | idea | news | news, times dense | CPU")
    assert lines[2].startswith("| dense |  | 1.00 | 1.000 |")
    assert lines[3].startswith("| 2:4 | best |")


def test_an_interruption_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(trials, "run", run)
    monkeypatch.setattr(sys, "argv", ["trials", "--trials", "dense", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"results\.json holds 0 of 1 trials: start again"):
        trials.main()
