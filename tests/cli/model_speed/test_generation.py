"""tnm bench model on a causal language model: prefill and decoding, with a cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.cli.conftest import Tnm
from tests.cli.language_models import llama, save, write_text
from tnm_core.cli.errors import CommandError
from tnm_core.cli.model_speed import GenerationSpeed
from tnm_core.cli.model_speed.generation import PhaseSeconds, generation_speed
from tnm_core.torch import remove_sparsity_, sparsify_


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    model = llama(hidden_size=64, intermediate_size=128, head_dim=16)
    sparsify_(model, "4:16")
    remove_sparsity_(model)
    return save(model, tmp_path / "sparse")


def test_prefill_and_decoding(tnm: Tnm, sparse: Path, tmp_path: Path) -> None:
    text = write_text(tmp_path / "text.txt", 100)
    words = (sparse, text, "--length", 24, "--new-tokens", 6, "--threads", 1, "--seconds", 0.01)
    result = tnm("bench", "model", *words, "--batch-size", 1, "--batch-size", 5, "--json")
    assert result.status == 0, result.err
    report = json.loads(result.out)
    assert report["speeds"] == []
    assert [one["batch_size"] for one in report["generation"]] == [1, 5]
    for one in report["generation"]:
        assert (one["prompt_tokens"], one["new_tokens"]) == (24, 6)
        assert list(one["variants"]) == ["dense", "packed"]
        for variant in one["variants"].values():
            for phase, tokens in (("prefill", 24), ("decode", 6)):
                rate = one["batch_size"] * tokens / variant[f"{phase}_seconds"]
                assert variant[f"{phase}_tokens_per_second"] == pytest.approx(rate)
                faster = one["variants"]["dense"][f"{phase}_seconds"] / variant[f"{phase}_seconds"]
                assert variant[f"{phase}_speedup"] == pytest.approx(faster)
    (change,) = report["changes"]
    assert change["largest"] <= 1e-4 * change["scale"]
    assert len(report["packed"]) >= 10
    assert "lm_head" in {one["name"] for one in report["left_dense"]}
    table = tnm("bench", "model", *words).out
    assert "prompts of 24 tokens, then 6 one by one" in table


class _Model(nn.Module):
    """Counts what it gets, and remembers how much of it lies in its cache."""

    def __init__(self, keeps: bool = True) -> None:
        super().__init__()
        self.keeps = keeps
        self.calls: list[tuple[int, int, int]] = []

    def forward(
        self,
        input_ids: torch.Tensor,
        past_key_values: torch.Tensor | None = None,
        use_cache: bool = False,
        logits_to_keep: int = 0,
    ) -> Any:
        before = 0 if past_key_values is None else past_key_values.shape[1]
        self.calls.append((before, input_ids.shape[1], logits_to_keep))
        assert use_cache
        whole = input_ids if past_key_values is None else torch.cat([past_key_values, input_ids], 1)
        return type("Output", (), {"past_key_values": whole if self.keeps else None})()


def test_what_a_model_gets() -> None:
    model, texts = _Model(), torch.arange(14).view(2, 7)
    shares: list[float] = []
    found = generation_speed({"dense": model}, texts, 4, 1e-9, shares.append)
    assert model.calls == 3 * [(0, 4, 1), (4, 1, 1), (5, 1, 1), (6, 1, 1)]
    assert (found.batch_size, found.prompt_tokens, found.new_tokens) == (2, 4, 3)
    assert shares[-1] == 1.0
    with pytest.raises(CommandError, match="no past_key_values"):
        generation_speed({"dense": _Model(keeps=False)}, texts, 4, 1e-9, shares.append)


def test_rates_are_those_of_all_texts_together() -> None:
    seconds = {"dense": PhaseSeconds(2.0, 3.0), "packed": PhaseSeconds(1.0, 2.0)}
    speed = GenerationSpeed(4, 10, 6, seconds)
    assert speed.rates("dense") == (20.0, 8.0)
    assert speed.speedups("packed") == (2.0, 1.5)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--max-tokens", 8), ("--max-tokens is for models of sentences",)),
        (("--compile",), ("--compile is for models of sentences",)),
        (("--length", 60, "--new-tokens", 5), ("make 65 tokens", "at most 64")),
    ],
)
def test_refused(
    tnm: Tnm, sparse: Path, tmp_path: Path, words: tuple[object, ...], told: tuple[str, ...]
) -> None:
    text = write_text(tmp_path / "text.txt", 100)
    tnm("bench", "model", sparse, text, *words).assert_refused(*told)
