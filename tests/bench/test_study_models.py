"""The models of the study, small: photographs and their crops, text, measures, a run of each."""

from __future__ import annotations

import io
import struct
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from bench.study import efficientnet, photographs, smollm2
from bench.study.efficientnet import EfficientNet
from bench.study.photographs import CropShape, Photograph, measured_crops, random_crops
from bench.study.pruning import run
from bench.study.qt_resources import resource_files
from bench.study.smollm2 import SmolLM2
from bench.study.variants import DENSE, DISTILLED, MIXED, NOTHING, Variant


def _picture(seed: int, size: tuple[int, int] = (200, 160)) -> Photograph:
    """Colours that change slowly, so that crops of different pictures differ."""
    level = 20 * (seed % 10)  # so that its mean tells which it is
    values = np.random.default_rng(seed).integers(level, level + 60, (5, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).resize(size, Image.Resampling.BICUBIC).save(file, "png")
    return Photograph(f"picture {seed}", file.getvalue())


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs, "to_measure", lambda: tuple(map(_picture, range(6))))
    monkeypatch.setattr(photographs, "to_prune", lambda: tuple(map(_picture, range(10, 18))))


def test_a_crop_is_what_the_network_takes() -> None:
    grey = Image.new("RGB", (300, 300), (127, 255, 0))
    crop = CropShape(8, 127, 128).pixels(grey, (0, 0, 300, 300))
    expected = torch.tensor([0.0, 1.0, -127 / 128]).view(3, 1, 1).expand(3, 8, 8)
    torch.testing.assert_close(crop, expected)


def test_what_is_cut_out_stands_on_white() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (4, 4), (9, 9, 9, 0)).save(file, "png")
    assert Photograph("", file.getvalue()).image().getpixel((0, 0)) == (255, 255, 255)


def test_crops(pictures: None) -> None:
    shape = CropShape(16, 127, 128)
    assert measured_crops(shape, 2).shape == (18, 3, 16, 16)
    few, more = random_crops(shape, 5, 0), random_crops(shape, 11, 0)
    assert torch.equal(few, more[:5])
    assert not torch.equal(few, random_crops(shape, 5, 1))
    assert len({tuple(crop.flatten().tolist()) for crop in more}) == 11
    # All pictures before one comes again: a picture's mean colour tells which it is.
    means = torch.stack(
        [shape.pixels(one.image(), (0, 0, 200, 160)).mean((1, 2)) for one in photographs.to_prune()]
    )
    nearest = torch.cdist(random_crops(shape, 8, 0, 0.9).mean((2, 3)), means).argmin(1)
    assert sorted(nearest.tolist()) == list(range(8))


def _resource_file(files: dict[str, bytes], flags: int) -> bytes:
    """A Qt resource file of one folder, from the layout: big-endian, a tree, data, names."""
    names, starts = b"", {}
    for name in ("folder", *files):
        starts[name] = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    data, offsets = b"", {}
    for name, content in files.items():
        offsets[name] = len(data)
        data += struct.pack(">I", len(content)) + content
    tree = struct.pack(">IHIIQ", 0, 2, 1, 1, 0)  # the root holds one entry, the first
    tree += struct.pack(">IHIIQ", starts["folder"], 2, len(files), 2, 0)
    for name in files:
        tree += struct.pack(">IHHHIQ", starts[name], flags, 0, 0, offsets[name], 0)
    head = struct.pack(">4s4I", b"qres", 2, 20, 20 + len(tree), 20 + len(tree) + len(data))
    return head + tree + data + names


def test_files_in_resource_files(tmp_path: Path) -> None:
    files = {"a.webp": b"first", "ü.jpg": b"", "c.png": bytes(300)}
    path = tmp_path / "one.rcc"
    path.write_bytes(_resource_file(files, flags=0))
    assert dict(resource_files(path)) == {f"folder/{name}": one for name, one in files.items()}
    path.write_bytes(_resource_file(files, flags=1))  # compressed
    assert not list(resource_files(path))
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match="does not begin with 'qres'"):
        list(resource_files(path))


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs, "ROOTS", (tmp_path,))
    monkeypatch.delenv(photographs.ROOT_VARIABLE, raising=False)
    photographs.to_prune.cache_clear()
    with pytest.raises(FileNotFoundError, match="apt-get download tuxpaint-stamps-default"):
        photographs.to_prune()


def _small_network() -> Any:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
    layers += [nn.Conv2d(32, 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
    layers += [nn.Conv2d(32, 32, 3, groups=32), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers).append(nn.Linear(32, 10)).eval()


def test_a_network(pictures: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "efficientnet_lite0", _small_network)
    monkeypatch.setattr(efficientnet, "SURE", 0.1)  # it is sure of nothing
    network = EfficientNet(size=16, parts=1)
    monkeypatch.setattr(EfficientNet, "facts", replace(network.facts, exclude=("0", "9")))
    dense, pruned = (
        run(network, variant, seed=0)
        for variant in (Variant(DENSE, NOTHING, samples=8), Variant("16:32", "best", samples=8))
    )
    assert dense["measures"] == pytest.approx(
        {"top-1 agreement": 1.0, "where sure": 1.0, "logit cosine": 1.0, "divergence": 0.0}
        | {"mirrored": dense["measures"]["mirrored"]},
        abs=1e-5,
    )
    assert 0 <= dense["measures"]["mirrored"] <= 1
    model = _small_network()
    with torch.inference_mode():
        answers = [network.answers(model, mirrored=one) for one in (False, True)]
    assert not torch.equal(*answers)
    assert [layer["name"] for layer in pruned["layers"]] == ["3"]
    assert "batch normalisation: " in pruned["batch norm"]
    assert 0.5 < pruned["measures"]["logit cosine"] < 1
    assert pruned["measures"]["divergence"] > 0
    assert pruned["seconds"] > 0
    monkeypatch.setattr(efficientnet, "LEAST_SECONDS", 0.01)
    speeds = network.speeds(_small_network(), _small_network())
    assert set(speeds) == {"images a second", "times dense"}
    assert all(value > 0 for value in speeds.values())


class _Words:
    """A tokenizer: a letter is a token."""

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) % 90 for letter in text]}


def _small_model(_: Any = None) -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, vocab_size=90, max_position_embeddings=600,
    )  # fmt: skip
    return type("Loaded", (), {"model": transformers.LlamaForCausalLM(config).eval()})


def test_a_language_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "the quick brown fox jumps over the lazy dog; " * 40
    smollm2._tokens.cache_clear()
    monkeypatch.setattr(smollm2, "load", _small_model)
    monkeypatch.setattr(smollm2, "tokenizer_of", lambda _: _Words())
    monkeypatch.setattr(smollm2, "text_to_prune", lambda: text)
    monkeypatch.setattr(smollm2, "measured_texts", lambda: {"news": text[3:], "plays": text[9:]})
    monkeypatch.setattr(smollm2, "LEAST_SECONDS", 0.01)
    model = SmolLM2(path=tmp_path, measured=3, length=20)
    pieces = torch.cat([batch["input_ids"] for batch in model.calibration(0, 12)])
    assert pieces.shape == (12, 20)
    assert not torch.equal(pieces[:4], model.calibration(1, 12)[0]["input_ids"])
    few, once, many = (
        torch.cat([one["input_ids"] for one in model.distillation(0, count)])
        for count in (6, 80, 200)
    )
    assert few.shape == (6, 20)
    assert many.shape == (200, 20)  # more than the text holds
    assert len(many.unique(dim=0)) > len(once.unique(dim=0))
    variant = Variant("2:4", DISTILLED, samples=12, distilled=6)
    result = run(model, variant, seed=0)
    assert {name: result[name] for name in asdict(variant)} == asdict(variant)
    assert result["distillation"]["steps"] > 0
    assert set(result["measures"]) == {"news", "plays"}
    assert all(1 < value < 1000 for value in result["measures"].values())
    names = [layer["name"] for layer in result["layers"]]
    assert len(names) == 14
    assert not any("lm_head" in name or "embed" in name for name in names)
    best = run(model, replace(variant, recipe="best"), seed=0, steps=tmp_path)
    shared = run(model, variant, seed=0, steps=tmp_path)
    assert shared["measures"] == result["measures"] != best["measures"]
    assert [one["seconds"] for one in shared["layers"]] == [
        one["seconds"] for one in best["layers"]
    ]
    assert sum(one["seconds"] for one in best["layers"]) > 0
    assert len(list(tmp_path.rglob("*.step"))) == 8  # not the distillation
    mixed = run(model, Variant(MIXED, "allocated", samples=12), seed=0)
    assert mixed["allocated"]["cost"] <= 0.5
    assert mixed["allocated"]["loss"] < mixed["allocated"]["uniform loss"]
    speeds = model.speeds(_small_model().model, _small_model().model)
    assert set(speeds) >= {"prefill tokens a second", "times dense", "decode times dense"}
    assert all(value > 0 for value in speeds.values())
