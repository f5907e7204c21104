"""tnm calibrate on causal language models: packed text, what stays dense, ties, GGUF, resuming."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

from tests.cli.conftest import Tnm, keeps_exactly, snapshot
from tests.cli.language_models import gpt2, llama, save, tokens_of, write_text
from tnm_core.cli.calibration import KeptRun
from tnm_core.cli.hugging_face import load, packed_batches, packed_pieces
from tnm_core.torch import prune_model_, remove_sparsity_
from tnm_core.torch.calibrate import PruneStep, collect_statistics
from tnm_core.torch.calibrate.allocate import allocate, output_change, sensitivity_scan

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return write_text(tmp_path / "text.txt", 330)


def _calibrate(tnm: Tnm, *words: object) -> dict[str, Any]:
    result = tnm("calibrate", *words, "--json")
    assert result.status == 0, result.err
    report: dict[str, Any] = json.loads(result.out)
    return report


def test_text_is_packed_and_the_result_is_that_of_the_api(
    tnm: Tnm, text: Path, tmp_path: Path
) -> None:
    folder, out = save(llama(), tmp_path / "dense"), tmp_path / "sparse"
    options = ("-p", "2:4", "--length", 16, "--tokens", 160, "--batch-size", 4)
    report = _calibrate(tnm, folder, text, "-o", out, *options)
    pieces = tokens_of(text)[:320].view(20, 16)[::2]  # ten of twenty
    dense = transformers.AutoModelForCausalLM.from_pretrained(folder)
    told = prune_model_(dense, [{"input_ids": one} for one in pieces.split(4)], "2:4")
    remove_sparsity_(dense)
    assert [one["error"] for one in report["layers"]] == [one.error for one in told.pruned]
    assert len(told.pruned) == 14
    assert {one["name"]: one["code"] for one in report["skipped"]} == {
        "lm_head": "head",
        "model.embed_tokens": "other_type",
    }
    sparse = transformers.AutoModelForCausalLM.from_pretrained(out)
    for name, value in dense.state_dict().items():
        assert torch.equal(sparse.state_dict()[name], value), name
    assert "14 of 14 tensors obey transposable 2:4" in tnm("check", out).out


@pytest.mark.parametrize("kind", ["llama with biases", "gpt2", "llama in bfloat16"])
def test_embeddings_and_ties_stay(tnm: Tnm, text: Path, tmp_path: Path, kind: str) -> None:
    """The head shares the memory of the embedding before and after; none of it changes."""
    made = {
        "llama with biases": lambda: llama(tie_word_embeddings=True, attention_bias=True),
        "gpt2": gpt2,
        "llama in bfloat16": lambda: llama(tie_word_embeddings=True).bfloat16(),
    }
    folder, out = save(made[kind](), tmp_path / "dense"), tmp_path / "sparse"
    report = _calibrate(
        tnm, folder, text, "-o", out, "-p", "2:4", "--length", 16, "--recipe", "wanda"
    )
    assert len(report["layers"]) == (8 if kind == "gpt2" else 14)
    assert all(one["remark"] is None for one in report["layers"])
    before, after = (load_file(path / "model.safetensors") for path in (folder, out))
    assert set(before) == set(after)
    assert not any("lm_head" in name for name in after)
    pruned = {f"{one['name']}.weight" for one in report["layers"]}
    for name, value in after.items():
        assert value.dtype == before[name].dtype
        if name in pruned:
            assert keeps_exactly((value != 0).numpy(), 2, 4)
        elif not name.endswith("bias"):
            assert torch.equal(value, before[name]), name
    model = transformers.AutoModelForCausalLM.from_pretrained(out)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert tnm("check", out).status == 0


def test_pieces(text: Path, tmp_path: Path) -> None:
    loaded = load(save(llama(), tmp_path / "dense"))
    tokens = tokens_of(text)
    assert torch.equal(packed_pieces(loaded, text, 50), tokens[:300].view(6, 50))
    found = packed_batches(loaded, text, 50, 149, None)
    assert torch.equal(found.batches[0]["input_ids"], tokens[:300].view(6, 50)[::3])
    assert found.others is None
    batches = packed_batches(loaded, text, 50, None, 4).batches
    assert [tuple(one["input_ids"].shape) for one in batches] == [(4, 50), (2, 50)]


def test_other_pieces_to_distill_with(text: Path, tmp_path: Path) -> None:
    loaded = load(save(llama(), tmp_path / "dense"))
    pieces = tokens_of(text)[:330].view(33, 10).tolist()
    found = packed_batches(loaded, text, 10, 110, None, 150)
    (given,) = found.batches
    assert given["input_ids"].tolist() == pieces[::3]
    assert found.others is not None
    others = torch.cat([one["input_ids"] for one in found.others]).tolist()
    assert not found.notes
    assert len(others) == 15
    left = [piece for at, piece in enumerate(pieces) if at % 3]
    spread = [left[at * 22 // 15] for at in range(15)]
    assert sorted(others) == sorted(spread)
    assert others != spread
    assert packed_batches(loaded, text, 10, 110, None, 150).others[0].keys() == {"input_ids"}
    (told,) = packed_batches(loaded, text, 10, 110, 2, 1000).notes
    assert "has 220 other tokens to distill with, fewer than --distill-tokens 1000" in told


def test_pieces_begin_as_the_tokenizer_begins_texts(text: Path, tmp_path: Path) -> None:
    folder = save(llama(), tmp_path / "dense")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"bos_token": "w7"})
    from tokenizers.processors import TemplateProcessing

    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="w7 $A", special_tokens=[("w7", 9)]
    )
    tokenizer.save_pretrained(folder)
    pieces = packed_pieces(load(folder), text, 11)
    assert torch.equal(pieces[:, 1:], tokens_of(text).view(33, 10))
    assert set(pieces[:, 0].tolist()) == {9}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--length", 65), ("--length is 65", "at most 64")),
        (("--max-tokens", 8), ("--max-tokens is for sentences", "--length")),
        (("--length", 1), ("--length", "2")),
        (("--distill-tokens", 64), ("--distill-tokens is for --recipe distilled", "best")),
        (
            ("--recipe", "distilled", "--length", 16, "--distill-tokens", 64),
            ("--tokens leaves nothing", "to distill with"),
        ),
    ],
)
def test_refused(
    tnm: Tnm, text: Path, tmp_path: Path, words: tuple[object, ...], told: tuple[str, ...]
) -> None:
    folder = save(llama(), tmp_path / "dense")
    before = snapshot(tmp_path)
    arguments = ("calibrate", folder, text, "-o", tmp_path / "out", "-p", "2:4")
    tnm(*arguments, *words).assert_refused(*told)
    assert snapshot(tmp_path) == before


def test_a_text_that_is_too_short(tnm: Tnm, tmp_path: Path) -> None:
    folder, text = save(llama(), tmp_path / "dense"), write_text(tmp_path / "text.txt", 20)
    arguments = ("calibrate", folder, text, "-o", tmp_path / "out", "-p", "2:4")
    tnm(*arguments, "--length", 21).assert_refused("holds 20 tokens", "--length 21")
    text.write_text("")
    tnm(*arguments, "--length", 21).assert_refused("holds no token")


def test_values_of_shared_heads_are_reordered(tnm: Tnm, text: Path, tmp_path: Path) -> None:
    """Rotary positions tie queries and keys to their places; values move with what reads them."""
    folder, out = save(llama(), tmp_path / "dense"), tmp_path / "sparse"
    options = ("-p", "2:4", "--recipe", "wanda", "--length", 16, "--permute")
    report = _calibrate(tnm, folder, text, "-o", out, *options)
    found = [(one["outputs"], one["block"]) for one in report["permutation"]["dimensions"]]
    assert found == [
        ([f"model.layers.{index}.{name}" for name in names], block)
        for index in (0, 1)
        for names, block in ((["self_attn.v_proj"], 8), (["mlp.gate_proj", "mlp.up_proj"], None))
    ]
    assert tnm("check", out).status == 0


def test_patterns_are_scanned_on_one_piece(tnm: Tnm, text: Path, tmp_path: Path) -> None:
    """From the middle of the text: the model runs for each layer and pattern."""
    folder, out = save(llama(), tmp_path / "dense"), tmp_path / "sparse"
    options = ("--recipe", "wanda", "--length", 16, "--batch-size", 4)
    budget = ("--budget", 0.5, "--patterns", "1:4,2:4,3:4")
    report = _calibrate(tnm, folder, text, "-o", out, *options, *budget)
    pieces = tokens_of(text)[:320].view(20, 16)
    batches = [{"input_ids": one} for one in pieces.split(4)]
    dense = transformers.AutoModelForCausalLM.from_pretrained(folder)
    scan = sensitivity_scan(
        dense,
        collect_statistics(dense, batches, exclude="lm_head"),
        ["1:4", "2:4", "3:4"],
        evaluate=output_change(dense, [{"input_ids": pieces[8:9]}]),
    )
    allocation = report["allocation"]
    assert allocation["scanned_batches"] == 1
    assert allocation["predicted_loss"] == pytest.approx(allocate(scan, 0.5).loss, rel=1e-6)


def test_an_interrupted_run_goes_on_block_by_block(
    tnm: Tnm, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(llama(), tmp_path / "dense")
    options = ("-p", "2:4", "--length", 16, "--recipe", "sequential")
    assert tnm("calibrate", folder, text, "-o", tmp_path / "whole", *options).status == 0
    keep, kept = KeptRun.keep, []

    def stop(self: KeptRun, number: int, step: PruneStep) -> None:
        kept.append(step)
        keep(self, number, step)
        if len(kept) == 5:  # of the second block one step is done
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(KeptRun, "keep", stop)
        result = tnm("calibrate", folder, text, "-o", tmp_path / "out", *options)
    assert result.status == 130
    assert "--resume continues it" in result.said
    assert kept[-1].layers[0].name == "model.layers.1.self_attn.q_proj"
    again = tnm("calibrate", folder, text, "-o", tmp_path / "out", *options, "--resume")
    assert again.status == 0, again.err
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")
    assert not list(tmp_path.glob(".*"))


def test_distilled(tnm: Tnm, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted run goes on with what it has pruned; the report says what it brought."""
    folder, out = save(llama(), tmp_path / "dense"), tmp_path / "out"
    options = ("-p", "2:4", "--length", 16, "--recipe", "distilled", "--tokens", 64)
    options += ("--distill-tokens", 200, "--include", "*.layers.1.*")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tnm_core.torch.calibrate.model.prune_layers.distill_", stop)
        assert tnm("calibrate", folder, text, "-o", out, *options).status == 130
    report = _calibrate(tnm, folder, text, "-o", out, *options, "--resume")
    told = report["distillation"]
    assert told["kept"]
    assert told["error"] < told["error_before"]
    assert told["steps"] >= 1
    assert tnm("check", out).status == 0
    other = (*options[:-3], 216, *options[-2:])
    assert _calibrate(tnm, folder, text, "-o", tmp_path / "b", *other)["distillation"] != told
