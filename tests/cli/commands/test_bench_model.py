"""tnm bench model: what it measures of a tiny BERT, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.cli.conftest import Tnm, snapshot
from tests.cli.image_models import mobilenet, save_with_processor, vit, write_images
from tests.cli.local_models import WORDS, save_with_tokenizer
from tnm_core.extras import how_to_install
from tnm_core.torch import remove_sparsity_, sparsify_

SIZES = {
    "vocab_size": 64,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 24,
    "initializer_range": 0.2,
}
QUICK = ("--seconds", "0.001", "--threads", "1")


def _bert(**sizes: int) -> transformers.BertModel:
    torch.manual_seed(0)
    return transformers.BertModel(transformers.BertConfig(**{**SIZES, **sizes}))


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    save_with_tokenizer(_bert(), tmp_path / "dense")
    return tmp_path / "dense"


@pytest.fixture
def sparse(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The same, pruned but for its pooler, to 16:32 if a test says nothing else."""
    model = _bert()
    sparsify_(model, getattr(request, "param", "16:32"), include="encoder*")
    remove_sparsity_(model)
    save_with_tokenizer(model, tmp_path / "sparse")
    return tmp_path / "sparse"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "sentences.txt"
    path.write_text("\n".join(" ".join(WORDS[n : n + 3 + n % 7]) for n in range(20)))
    return path


def _report(tnm: Tnm, *words: object) -> dict[str, Any]:
    result = tnm("bench", "model", *words, *QUICK, "--json")
    assert result.status == 0, result.err
    report: dict[str, Any] = json.loads(result.out)
    return report


def test_speeds_outputs_and_memory(tnm: Tnm, sparse: Path, dense: Path, text: Path) -> None:
    before, threads = snapshot(sparse.parent), torch.get_num_threads()
    sizes = ("--batch-size", 1, "--batch-size", 20)
    report = _report(tnm, sparse, text, "--dense", dense, *sizes)
    assert snapshot(sparse.parent) == before
    assert torch.get_num_threads() == threads
    assert (report["command"], report["dtype"], report["threads"]) == ("bench model", "float32", 1)
    one, all_of_them = report["speeds"]
    assert (one["batch_size"], all_of_them["batch_size"]) == (1, 20)
    words = sum(len(line.split()) for line in text.read_text().splitlines())
    assert (all_of_them["sentences"], all_of_them["tokens"]) == (20, words)
    for speed in report["speeds"]:
        assert list(speed["variants"]) == ["dense", "packed"]
        for variant in speed["variants"].values():
            assert variant["sentences_per_second"] * variant["seconds"] == pytest.approx(
                speed["sentences"]
            )
            ratio = speed["variants"]["dense"]["seconds"] / variant["seconds"]
            assert variant["speedup"] == pytest.approx(ratio)
    assert len(report["packed"]) == 12
    left = {one["name"]: one["code"] for one in report["left_dense"]}
    assert left["pooler.dense"] == "dense_is_faster"
    memory = report["memory"]
    saved = memory["model_bytes"] - memory["packed_model_bytes"]
    assert saved == memory["weights_bytes"] - memory["packed_weights_bytes"]
    assert memory["weights_bytes"] == 2 * 4 * (4 * 64 * 64 + 2 * 64 * 128)


def test_outputs_are_those_of_the_masked_model(
    tnm: Tnm, sparse: Path, dense: Path, text: Path
) -> None:
    report = _report(tnm, sparse, text, "--dense", dense, "--batch-size", 8)
    changes = {(one["variant"], one["against"]): one for one in report["changes"]}
    assert set(changes) == {
        ("packed", "the masked model"),
        ("dense", str(dense)),
        ("packed", str(dense)),
    }
    packed = changes["packed", "the masked model"]
    assert packed["largest"] <= 1e-5 * packed["scale"]
    assert packed["least_cosine"] == pytest.approx(1.0, abs=1e-6)
    cosines = _cosines(sparse, dense, text)
    for variant in ("dense", "packed"):
        change = changes[variant, str(dense)]
        assert change["least_cosine"] == pytest.approx(float(cosines.min()), abs=1e-5)
        assert change["mean_cosine"] == pytest.approx(float(cosines.mean()), abs=1e-5)
        assert change["least_cosine"] < 0.999


@torch.no_grad()
def _cosines(sparse: Path, dense: Path, text: Path) -> torch.Tensor:
    """Of the means of hidden states, sentence by sentence."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(sparse)
    models = [transformers.AutoModel.from_pretrained(path) for path in (sparse, dense)]
    found = []
    for line in text.read_text().splitlines():
        tokens = tokenizer(line, return_tensors="pt")
        means = [model(**tokens).last_hidden_state.mean(1) for model in models]
        found.append(torch.cosine_similarity(*means))
    return torch.cat(found)


@pytest.mark.parametrize("sparse", ["row 2:4"], indirect=True)
def test_bfloat16_is_compared_with_the_masked_model_in_float32(
    tnm: Tnm, sparse: Path, text: Path
) -> None:
    report = _report(tnm, sparse, text, "--dtype", "bfloat16", "--batch-size", 8)
    assert {one["dtype"] for one in report["packed"].values()} == {"bfloat16"}
    assert {one["density"] for one in report["packed"].values()} == {0.5}
    assert [one["variant"] for one in report["changes"]] == ["dense", "packed"]
    for change in report["changes"]:
        assert 1e-4 < change["largest"] / change["scale"] < 0.1
        assert 0.99 < change["least_cosine"] < 1 - 1e-9


def test_table(tnm: Tnm, sparse: Path, text: Path) -> None:
    result = tnm("bench", "model", sparse, text, *QUICK)
    assert result.status == 0, result.err
    assert result.err == ""
    assert "Speed, float32, 1 thread" in result.out
    rows = [line.split() for line in result.out.splitlines()]
    assert [row[0] for row in rows if len(row) == 6 and row[1] == "dense"] == ["1", "8", "32"]
    assert sum(row[:1] == ["packed"] and len(row) == 5 for row in rows) == 3
    assert "12 layers packed: their weights take 0.1 MB, 0.3 MB dense (0.5" in result.out
    assert "1 left alone: dense is faster: density 1.00" in result.out


def test_compiled_variants_are_measured_or_the_reason_is_told(
    tnm: Tnm, sparse: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []

    def compile_(model: Any, **options: Any) -> Any:
        compiled.append(model)
        return lambda **batch: model(**batch)

    monkeypatch.setattr(torch, "compile", compile_)
    report = _report(tnm, sparse, text, "--compile", "--batch-size", 8)
    variants = ["dense", "packed", "dense, compiled", "packed, compiled"]
    assert list(report["speeds"][0]["variants"]) == variants
    assert [one["variant"] for one in report["changes"]] == variants[1:]
    assert len(compiled) == 2

    def fail(**_: Any) -> Any:
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(torch, "compile", lambda model, **options: fail)
    result = tnm("bench", "model", sparse, text, "--compile", *QUICK)
    result.assert_refused("torch.compile", "no C++ compiler", "leave out --compile")


def test_onnx_runtime_is_measured_with_batches_of_any_length(
    tnm: Tnm, sparse: Path, text: Path, tmp_path: Path
) -> None:
    before = snapshot(tmp_path)
    report = _report(tnm, sparse, text, "--onnxruntime", "--batch-size", 1, "--batch-size", 8)
    assert snapshot(tmp_path) == before
    for speed in report["speeds"]:
        assert list(speed["variants"]) == ["dense", "packed", "dense, ONNX Runtime"]
    change = {one["variant"]: one for one in report["changes"]}["dense, ONNX Runtime"]
    assert change["against"] == "the masked model"
    assert 0 < change["largest"] <= 1e-5 * change["scale"]


def test_onnx_runtime_takes_float32_alone(tnm: Tnm, sparse: Path, text: Path) -> None:
    words = ("--onnxruntime", "--dtype", "bfloat16")
    tnm("bench", "model", sparse, text, *words, *QUICK).assert_refused("float32", "bfloat16")


def test_a_model_that_cannot_be_exported_is_named(
    tnm: Tnm, sparse: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(torch.onnx, "export", fail)
    result = tnm("bench", "model", sparse, text, "--onnxruntime", *QUICK)
    result.assert_refused("no such operator", "leave out --onnxruntime")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_packages_of_onnx_runtime_are_named(
    tnm: Tnm, sparse: Path, text: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = tnm("bench", "model", sparse, text, "--onnxruntime", *QUICK)
    result.assert_refused(f"needs the package {package}", how_to_install("onnxruntime"))


def test_a_model_that_is_not_pruned_is_refused(tnm: Tnm, dense: Path, text: Path) -> None:
    tnm("bench", "model", dense, text, *QUICK).assert_refused("enough zeros", "tnm calibrate")


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_missing_packages_are_named(
    tnm: Tnm, sparse: Path, text: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    result = tnm("bench", "model", sparse, text, *QUICK)
    result.assert_refused(f"needs the package {package}", how_to_install("transformers"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere", "TEXT"), ("nowhere is no directory", "Hugging Face")),
        (("MODEL", "TEXT", "--dense", "nowhere"), ("nowhere is no directory",)),
        (("MODEL", "nowhere.txt"), ("nowhere.txt", "No such file")),
        (("MODEL", "TEXT", "--dtype", "float64"), ("--dtype is 'float64'", "bfloat16")),
        (("MODEL", "TEXT", "--batch-size", "0"), ("--batch-size", "greater than or equal to 1")),
        (("MODEL", "TEXT", "--dense", "OTHER"), ("outputs of one shape", "32")),
    ],
)
def test_bad_input(
    tnm: Tnm,
    sparse: Path,
    text: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    told: tuple[str, ...],
) -> None:
    save_with_tokenizer(_bert(hidden_size=32), tmp_path / "other")
    meant = {"MODEL": sparse, "TEXT": text, "OTHER": tmp_path / "other"}
    tnm("bench", "model", *(meant.get(word, word) for word in words), *QUICK).assert_refused(*told)


def _images_model(path: Path, kind: str) -> Path:
    """A model of images, pruned where packed products pay, with an image processor."""
    model = (
        vit(hidden_size=64, intermediate_size=128)
        if kind == "vit"
        else mobilenet(depth_multiplier=1.0)
    )
    sparsify_(model, "16:32", exclude="classifier")
    remove_sparsity_(model)
    return save_with_processor(model, path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


@pytest.mark.parametrize("kind", ["vit", "mobilenet"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_images(tnm: Tnm, tmp_path: Path, images: Path, kind: str, dtype: str) -> None:
    sparse = _images_model(tmp_path / "sparse", kind)
    before = snapshot(tmp_path)
    sizes = ("--batch-size", 1, "--batch-size", 20)
    report = _report(tnm, sparse, images, *sizes, "--dtype", dtype)
    assert snapshot(tmp_path) == before
    assert [one["batch_size"] for one in report["speeds"]] == [1, 20]
    assert report["speeds"][1]["images"] == 20
    for speed in report["speeds"]:
        assert set(speed) == {"batch_size", "images", "variants"}
        for variant in speed["variants"].values():
            assert set(variant) == {"seconds", "images_per_second", "speedup"}
            rate = speed["images"] / variant["seconds"]
            assert variant["images_per_second"] == pytest.approx(rate)
    assert len(report["packed"]) > 10
    for change in report["changes"]:
        assert change["largest"] <= (1e-4 if dtype == "float32" else 0.2) * change["scale"]
        assert change["mean_cosine"] > 0.99


def test_table_of_images(
    tnm: Tnm, tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse = _images_model(tmp_path / "sparse", "vit")
    monkeypatch.setattr("tnm_core.cli.model_speed.samples._MOST_IMAGES", 12)
    result = tnm("bench", "model", sparse, images, *QUICK)
    assert result.status == 0, result.err
    assert result.err.count(f"tnm: note: 12 of 20 images in {images} are taken") == 1
    assert result.err.count("2 other files") == 1
    assert "images/s" in result.out
    assert "tokens" not in result.out


def test_onnx_runtime_takes_images(tnm: Tnm, tmp_path: Path, images: Path) -> None:
    sparse = _images_model(tmp_path / "sparse", "vit")
    sizes = ("--batch-size", 1, "--batch-size", 8)
    report = _report(tnm, sparse, images, "--onnxruntime", *sizes)
    change = {one["variant"]: one for one in report["changes"]}["dense, ONNX Runtime"]
    assert 0 < change["largest"] <= 1e-4 * change["scale"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("VIT", "TEXT"), ("takes 'pixel_values' and no sentences", "a folder of images")),
        (("BERT", "IMAGES"), ("takes 'input_ids' and no images", "a text file")),
        (("VIT", "IMAGES", "--max-tokens", "8"), ("--max-tokens is for a text", "leave it out")),
        (("VIT", "IMAGES", "--length", "8", "--new-tokens", "2"), ("leave them out",)),
        (("VIT", "EMPTY"), ("holds no image",)),
    ],
)
def test_images_where_there_should_be_none(
    tnm: Tnm,
    sparse: Path,
    text: Path,
    images: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    told: tuple[str, ...],
) -> None:
    (tmp_path / "empty").mkdir()
    folder = _images_model(tmp_path / "vit", "vit")
    meant = {"BERT": sparse, "VIT": folder, "TEXT": text, "IMAGES": images}
    meant["EMPTY"] = tmp_path / "empty"
    tnm("bench", "model", *(meant.get(word, word) for word in words), *QUICK).assert_refused(*told)
