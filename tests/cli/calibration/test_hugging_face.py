"""tnm calibrate on directories in the layout of Hugging Face."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.cli.conftest import Tnm, keeps_exactly, snapshot
from tests.cli.local_models import WORDS, save_with_tokenizer
from tnm_core import is_transposable
from tnm_core.cli.hugging_face import load, sentence_batches
from tnm_core.torch import prune_model_, remove_sparsity_
from tnm_core.torch.calibrate import collect_statistics

pytestmark = pytest.mark.usefixtures("offline")

SIZES = {
    "vocab_size": 64,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 12,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny BERT with a pooler, a tokenizer, and what else such directories hold."""
    path = tmp_path / "dense"
    torch.manual_seed(0)
    save_with_tokenizer(transformers.BertModel(transformers.BertConfig(**SIZES)), path)
    (path / "1_Pooling").mkdir()
    (path / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (path / "README.md").write_text("what it is")
    (path / "pytorch_model.bin").write_bytes(b"the same weights once more")
    (path / ".gitattributes").write_text("*.bin filter=lfs")
    (path / "onnx").mkdir()
    (path / "onnx" / "model.onnx").write_bytes(b"and again")
    return path


@pytest.fixture
def text(tmp_path: Path) -> Path:
    picked = torch.randint(0, len(WORDS), (90, 20), generator=torch.Generator().manual_seed(2))
    lines = [" ".join(WORDS[i] for i in row[: 3 + n % 15]) for n, row in enumerate(picked.tolist())]
    path = tmp_path / "sentences.txt"
    path.write_text("\n\n".join(lines))
    return path


def _batches(folder: Path, text: Path) -> list[dict[str, Any]]:
    """What --batch-size 16 makes of the sentences."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    lines = sorted(text.read_text().split("\n\n"), key=lambda line: min(len(line.split()), 12))
    return [
        dict(tokenizer(lines[at : at + 16], padding=True, truncation=True, max_length=12,
                       return_tensors="pt"))
        for at in range(0, len(lines), 16)
    ]  # fmt: skip


def test_the_result_is_that_of_the_api(tnm: Tnm, folder: Path, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "sparse"
    before = snapshot(folder)
    options = ("-o", out, "-p", "2:4", "--batch-size", "16")
    result = tnm("calibrate", folder, text, *options, "--json")
    assert result.status == 0, result.err
    assert result.said == ""
    assert snapshot(folder) == before
    dense = transformers.AutoModel.from_pretrained(folder)
    batches = _batches(folder, text)
    report = prune_model_(dense, batches, "2:4", exclude="*embed*")
    remove_sparsity_(dense)
    told = json.loads(result.out)["layers"]
    assert [layer["name"] for layer in told] == [layer.name for layer in report.pruned]
    assert [layer["error"] for layer in told] == [layer.error for layer in report.pruned]
    sparse = transformers.AutoModel.from_pretrained(out)
    for name, value in dense.state_dict().items():
        assert torch.equal(sparse.state_dict()[name], value), name
    assert len(told) == 13
    assert "13 of 13 tensors obey transposable 2:4" in tnm("check", out).out


def test_budget(tnm: Tnm, folder: Path, text: Path, tmp_path: Path) -> None:
    """All outputs of the model count, without padding, for four of the six batches."""
    from tnm_core.torch.calibrate.allocate import (
        allocate,
        output_change,
        sensitivity_scan,
    )

    out, patterns = tmp_path / "sparse", ["1:4", "2:4", "3:4"]
    options = ("--budget", "0.5", "--patterns", ",".join(patterns), "--batch-size", "16")
    result = tnm("calibrate", folder, text, "-o", out, *options, "--json")
    assert result.status == 0, result.err
    told = json.loads(result.out)
    dense, batches = transformers.AutoModel.from_pretrained(folder), _batches(folder, text)
    some = [batches[index] for index in (0, 2, 3, 5)]
    assert len(batches) == 6
    assert set(dense(**some[0])) == {"last_hidden_state", "pooler_output"}
    changes = [
        output_change(dense, some, forward=lambda model, batch, key=key: model(**batch)[key])
        for key in ("last_hidden_state", "pooler_output")
    ]
    statistics = collect_statistics(dense, batches, exclude="*embed*")
    scan = sensitivity_scan(
        dense, statistics, patterns, evaluate=lambda model: sum(one(model) for one in changes) / 2
    )
    expected = allocate(scan, 0.5)
    assert told["allocation"]["predicted_loss"] == pytest.approx(expected.loss, rel=1e-6)
    assert told["allocation"]["scanned_batches"] == 4
    assert {layer["name"]: layer["pattern"] for layer in told["layers"]} == expected.sparse
    assert len(set(expected.patterns.values())) > 2
    assert tnm("check", out).status == 0


def test_everything_but_weights_is_copied(
    tnm: Tnm, folder: Path, text: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sparse"
    assert tnm("calibrate", folder, text, "-o", out, "-p", "2:4").status == 0
    before, after = snapshot(folder), snapshot(out)
    left_out = {"pytorch_model.bin", ".gitattributes", "onnx", "onnx/model.onnx"}
    assert set(after) == set(before) - left_out
    assert {name for name in after if after[name] != before[name]} == {"model.safetensors"}
    with safe_open(out / "model.safetensors", "pt") as file:
        assert file.metadata()["format"] == "pt"
        assert file.metadata()["tnm.pattern"] == "2:4"
    again = transformers.AutoTokenizer.from_pretrained(out)
    assert again("w3 w5")["input_ids"] == [5, 7]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_heads_and_dtypes_stay(tnm: Tnm, text: Path, tmp_path: Path) -> None:
    """The class that the configuration names is loaded, so no tensor of its head is lost."""
    folder, out = tmp_path / "dense", tmp_path / "sparse"
    torch.manual_seed(0)
    config = transformers.BertConfig(**SIZES, num_labels=8)
    save_with_tokenizer(transformers.BertForSequenceClassification(config).bfloat16(), folder)
    options = ("--include", "bert.encoder*", "-p", "2:4")
    result = tnm("calibrate", folder, text, "-o", out, *options)
    assert result.status == 0, result.err
    before, after = (load_file(path / "model.safetensors") for path in (folder, out))
    assert set(before) == set(after)
    for name, value in after.items():
        assert value.dtype == torch.bfloat16
        if "encoder" not in name:
            assert torch.equal(value, before[name])
    weight = after["bert.encoder.layer.0.output.dense.weight"].float()
    assert keeps_exactly((weight != 0).numpy(), 2, 4)
    assert tnm("check", out).status == 0


def test_weights_that_are_not_there(tnm: Tnm, folder: Path, text: Path, tmp_path: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors = {name: value for name, value in tensors.items() if "pooler" not in name}
    tensors["notes"] = torch.zeros(3)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    out = tmp_path / "sparse"
    result = tnm("calibrate", folder, text, "-o", out, "-p", "2:4")
    assert result.status == 0, result.err
    assert "1 left alone: the checkpoint has no weights for it: pooler.dense" in result.out
    assert "tnm: warning: 1 tensors" in result.err
    assert "such as notes" in result.err
    assert set(load_file(out / "model.safetensors")) == set(tensors) - {"notes"}


def test_permuting_heads(tnm: Tnm, folder: Path, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "sparse"
    result = tnm("calibrate", folder, text, "-o", out, "-p", "2:4", "--permute", "--json")
    assert result.status == 0, result.err
    dimensions = json.loads(result.out)["permutation"]["dimensions"]
    assert sorted(one["block"] or 0 for one in dimensions) == [0, 0, 8, 8, 8, 8]
    assert tnm("check", out).status == 0


def test_a_decoder_without_a_token_to_pad_with(tnm: Tnm, text: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "dense", tmp_path / "sparse"
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**SIZES, num_key_value_heads=1)
    save_with_tokenizer(transformers.LlamaModel(config), folder)
    told = json.loads((folder / "tokenizer_config.json").read_text())
    told.pop("pad_token")
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    arguments = ("calibrate", folder, text, "-o", out, "-p", "2:4", "--recipe", "wanda")
    tnm(*arguments).assert_refused("no token to pad with", "--batch-size 1")
    result = tnm(*arguments, "--batch-size", 1)
    assert result.status == 0, result.err
    config = json.loads((out / "config.json").read_text())
    assert config["use_cache"]
    reloaded = transformers.AutoModel.from_pretrained(out)
    weight = reloaded.layers[1].mlp.up_proj.weight.detach().numpy()
    assert keeps_exactly(weight != 0, 2, 4)


def test_in_place_and_force(tnm: Tnm, folder: Path, text: Path, tmp_path: Path) -> None:
    arguments = ("calibrate", folder, text, "-p", "2:4", "--recipe", "magnitude")
    before = snapshot(folder)
    tnm(*arguments, "-o", folder).assert_refused("exists already", "--force")
    tnm(*arguments, "-o", folder, "--force").assert_refused("pytorch_model.bin", "out of date")
    tnm(*arguments, "-o", folder / "inside").assert_refused("lies in")
    assert snapshot(folder) == before
    (folder / "pytorch_model.bin").unlink()
    assert tnm(*arguments, "-o", folder, "--force").status == 0
    after = snapshot(folder)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"model.safetensors"}
    assert tnm("check", folder).status == 0


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f, t: t.write_text("\n \n"), ("holds no sentence", "one per line")),
        (lambda f, t: t.write_bytes(b"\xff\xfe\xfa"), ("is not a UTF-8 text",)),
        (lambda f, t: (f / "config.json").unlink(), ("has no config.json",)),
        (lambda f, t: (f / "config.json").write_text("{"), ("cannot load a model from",)),
        (lambda f, t: [p.unlink() for p in f.glob("*.safetensors")] and
                      (f / "pytorch_model.bin").unlink(), ("cannot load a model from",)),
        (lambda f, t: [p.unlink() for p in f.glob("token*")], ("has no tokenizer",)),
        (lambda f, t: (f / "tokenizer.json").write_text("{"), ("cannot load a tokenizer from",)),
    ],
)  # fmt: skip
def test_refused(
    tnm: Tnm, folder: Path, text: Path, tmp_path: Path, spoil: Any, words: tuple[str, ...]
) -> None:
    spoil(folder, text)
    before = snapshot(tmp_path)
    tnm("calibrate", folder, text, "-o", tmp_path / "out", "-p", "2:4").assert_refused(*words)
    assert snapshot(tmp_path) == before
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_interrupt_while_writing_leaves_what_can_be_resumed(
    tnm: Tnm, folder: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tnm_core.cli.calibration.model_directory.SafetensorsFile.copy_to", stop)
    before = snapshot(tmp_path)
    result = tnm("calibrate", folder, text, "-o", tmp_path / "out", "-p", "2:4")
    assert result.status == 130
    assert "--resume continues it" in result.said
    left = {name.partition("/")[0] for name in set(snapshot(tmp_path)) - set(before)}
    assert left == {".out.tnm-resume"}
    monkeypatch.undo()
    assert (
        tnm("calibrate", folder, text, "-o", tmp_path / "out", "-p", "2:4", "--resume").status == 0
    )
    assert not (tmp_path / ".out.tnm-resume").exists()


T5 = {"vocab_size": 64, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2,
      "decoder_start_token_id": 0}  # fmt: skip


@pytest.mark.parametrize("kind", ["T5Model", "T5ForConditionalGeneration", "BartModel"])
def test_decoders_beside_an_encoder_get_the_sentence_one_token_later(
    tnm: Tnm, text: Path, tmp_path: Path, kind: str
) -> None:
    torch.manual_seed(0)
    if kind == "BartModel":
        own = {"layers": 1, "attention_heads": 2, "ffn_dim": 32}
        sizes = {f"{side}_{k}": v for side in ("encoder", "decoder") for k, v in own.items()}
        config = transformers.BartConfig(
            vocab_size=64, d_model=16, max_position_embeddings=32, decoder_start_token_id=0,
            bos_token_id=0, eos_token_id=1, pad_token_id=0, **sizes,
        )  # fmt: skip
    else:
        config = transformers.T5Config(**T5)
    folder, out = tmp_path / "dense", tmp_path / "sparse"
    save_with_tokenizer(getattr(transformers, kind)(config), folder)
    result = tnm("calibrate", folder, text, "-o", out, "-p", "2:4", "--recipe", "sequential",
                 "--json")  # fmt: skip
    assert result.status == 0, result.err
    layers = {layer["name"] for layer in json.loads(result.out)["layers"]}
    assert any(name.startswith("encoder.") for name in layers)
    assert any(name.startswith("decoder.") for name in layers)
    assert all(layer["remark"] is None for layer in json.loads(result.out)["layers"])
    assert tnm("check", out).status == 0
    getattr(transformers, kind).from_pretrained(out)


def test_what_the_decoder_gets(text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dense"
    save_with_tokenizer(transformers.T5Model(transformers.T5Config(**T5)), folder)
    for batch in sentence_batches(load(folder), text, 16, 12):
        given, shifted = batch["input_ids"], batch["decoder_input_ids"]
        assert set(batch) == {"input_ids", "attention_mask", "decoder_input_ids"}
        assert (shifted[:, 0] == 0).all()
        assert torch.equal(shifted[:, 1:], given[:, :-1])


def test_models_that_take_no_sentences_are_named(tnm: Tnm, text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dense"
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        image_size=8, patch_size=4,
    )  # fmt: skip
    save_with_tokenizer(transformers.ViTModel(config), folder)
    result = tnm("calibrate", folder, text, "-o", tmp_path / "sparse", "-p", "2:4")
    result.assert_refused("a ViTModel takes 'pixel_values' and no sentences", "DATA")


@pytest.mark.parametrize("kind", ["Mixtral", "GPT2"])
def test_experts_and_conv1d(tnm: Tnm, text: Path, tmp_path: Path, kind: str) -> None:
    """Their weights are in the record that `tnm check` reads, in their own orientation."""
    torch.manual_seed(0)
    model = transformers.MixtralForCausalLM(transformers.MixtralConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, num_local_experts=2, num_experts_per_tok=1,
    )) if kind == "Mixtral" else transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=64, n_embd=16, n_layer=1, n_head=2, n_positions=16, bos_token_id=0,
        eos_token_id=0,
    ))  # fmt: skip
    folder, out = tmp_path / "dense", tmp_path / "sparse"
    save_with_tokenizer(model, folder)
    result = tnm("calibrate", folder, text, "-o", out, "-p", "2:4", "--recipe", "sequential",
                 "--json")  # fmt: skip
    assert result.status == 0, result.err
    told = json.loads(result.out)
    names = {layer["name"] for layer in told["layers"]}
    wanted = {"Mixtral": "model.layers.0.mlp.experts.down_proj", "GPT2": "transformer.h.0.mlp.c_fc"}
    assert wanted[kind] in names
    assert all(layer["error"] is not None for layer in told["layers"])
    stored = load_file(out / "model.safetensors")
    split = {name: one for name, one in stored.items() if "experts." in name}
    assert bool(split) == (kind == "Mixtral") == ("tnm check finds those only" in result.err)
    assert all(is_transposable((one != 0).numpy(), 2, 4) for one in split.values())
    checked = tnm("check", out)
    assert checked.status == 0, checked.out
    recorded = len(names) - (2 if split else 0)
    assert f"{recorded} of {recorded} tensors" in checked.out
