"""tnm calibrate on folders of images: what the model gets, what comes out, what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers.image_utils import load_image

from tests.cli.conftest import Tnm, snapshot
from tests.cli.image_models import mobilenet, save_with_processor, vit, write_images
from tests.cli.local_models import save_with_tokenizer
from tnm_core.cli.calibration import KeptRun
from tnm_core.cli.errors import CommandError
from tnm_core.cli.hugging_face import image_batches, load
from tnm_core.extras import how_to_install
from tnm_core.torch import prune_model_, remove_sparsity_

pytestmark = [
    pytest.mark.usefixtures("offline"),
    pytest.mark.filterwarnings("ignore:.*data are rank-deficient"),
]
MODELS = {"vit": vit, "mobilenet": mobilenet}
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A ViT if a test says nothing else."""
    return save_with_processor(MODELS[getattr(request, "param", "vit")](), tmp_path / "dense")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


both = pytest.mark.parametrize("folder", ["vit", "mobilenet"], indirect=True)


def _files(images: Path) -> list[Path]:
    return sorted(
        one
        for one in images.rglob("*")
        if one.suffix.lower() in SUFFIXES and not one.name.startswith(".")
    )


def _batches(folder: Path, files: list[Path], size: int) -> list[dict[str, Any]]:
    """What the image processor makes of images, each batch of which is spread over all."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    step = -(-len(files) // size)
    mixed = [one for start in range(step) for one in files[start::step]]
    return [
        dict(processor(images=[load_image(str(one)) for one in mixed[at : at + size]],
                       return_tensors="pt"))
        for at in range(0, len(mixed), size)
    ]  # fmt: skip


@both
def test_batches_are_those_of_the_image_processor(folder: Path, images: Path) -> None:
    files = _files(images)
    assert len(files) == 20
    found = image_batches(load(folder), images, 8, 100)
    assert [len(batch["pixel_values"]) for batch in found.batches] == [8, 8, 4]
    for batch, expected in zip(found.batches, _batches(folder, files, 8), strict=True):
        assert set(batch) == {"pixel_values"}
        assert batch["pixel_values"].dtype == torch.float32
        assert torch.equal(batch["pixel_values"], expected["pixel_values"])
    assert found.found == 20
    assert found.notes == (f"2 other files in {images} left out, as no image",)


def test_some_are_spread_over_all(folder: Path, images: Path) -> None:
    files = _files(images)
    found = image_batches(load(folder), images, 8, 6)
    (expected,) = _batches(folder, [files[index] for index in (0, 3, 6, 10, 13, 16)], 8)
    assert torch.equal(found.batches[0]["pixel_values"], expected["pixel_values"])
    assert found.notes[0] == f"6 of 20 images in {images} are taken, spread evenly over them"


@both
def test_the_result_is_that_of_the_api(
    tnm: Tnm, folder: Path, images: Path, tmp_path: Path
) -> None:
    out, report = tmp_path / "sparse", tmp_path / "report.html"
    before = snapshot(folder)
    options = ("-o", out, "-p", "2:4", "--batch-size", 8, "--report", report)
    result = tnm("calibrate", folder, images, *options, "--json")
    assert result.status == 0, result.err
    assert snapshot(folder) == before
    assert f"2 other files in {images} left out, as no image" in result.said
    dense = load(folder).model
    made = prune_model_(dense, _batches(folder, _files(images), 8), "2:4", exclude="classifier")
    remove_sparsity_(dense)
    layers = json.loads(result.out)["layers"]
    assert [layer["name"] for layer in layers] == [layer.name for layer in made.pruned]
    sparse = type(dense).from_pretrained(out)
    for name, value in dense.state_dict().items():
        assert torch.equal(sparse.state_dict()[name], value), name
    assert set(snapshot(out)) == set(before)
    copied = snapshot(out)["preprocessor_config.json"]
    assert copied == before["preprocessor_config.json"]
    assert f"{len(layers)} of {len(layers)} tensors obey" in tnm("check", out).out
    correction = json.loads(result.out)["batch_norm"]
    assert (correction is None) == isinstance(dense, transformers.ViTForImageClassification)
    assert "YOUR_IMAGES" in report.read_text()


@pytest.mark.parametrize(
    "options",
    [
        ("-p", "2:4", "--permute"),
        ("-p", "2:4", "--recipe", "tuned", "--batch-size", 4),
        ("-p", "2:4", "--recipe", "distilled", "--batch-size", 2),
        ("--budget", "0.5", "--patterns", "1:4,2:4,3:4", "--recipe", "wanda"),
    ],
)
def test_other_ways(
    tnm: Tnm, folder: Path, images: Path, tmp_path: Path, options: tuple[object, ...]
) -> None:
    out = tmp_path / "sparse"
    result = tnm("calibrate", folder, images, "-o", out, *options, "--json")
    assert result.status == 0, result.err
    told = json.loads(result.out)
    assert (told["permutation"] is not None) == ("--permute" in options)
    assert bool(told["tuned_blocks"]) == ("tuned" in options)
    assert (told["distillation"] is not None) == ("distilled" in options)
    assert (told["allocation"] is not None) == ("--budget" in options)
    assert tnm("check", out).status == 0


def test_an_interrupted_run_goes_on(
    tnm: Tnm, folder: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "sparse", tmp_path / "whole"
    command = ("calibrate", folder, images, "-p", "2:4", "--recipe", "sequential")
    assert tnm(*command, "-o", whole).status == 0
    keep = KeptRun.keep

    def stop(kept: KeptRun, number: int, step: Any) -> None:
        keep(kept, number, step)
        if number == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(KeptRun, "keep", stop)
        assert tnm(*command, "-o", out).status == 130
    assert not out.exists()
    other = tnm(*command, "-o", out, "--resume", "--force", "--images", 19)
    other.assert_refused_at_the_end("cannot resume", "the batches")
    assert tnm(*command, "-o", out, "--resume").status == 0
    assert snapshot(out) == snapshot(whole)


def test_how_many_are_taken_is_said(
    tnm: Tnm, folder: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("calibrate", folder, images, "-p", "2:4", "--recipe", "magnitude", "--force", "-o")
    few = tnm(*command, tmp_path / "out", "--images", 7)
    assert f"7 of 20 images in {images} are taken" in few.said
    many = tnm(*command, tmp_path / "out", "--images", 30)
    assert f"{images} has 20 images, fewer than --images 30" in many.said
    monkeypatch.setattr("tnm_core.cli.calibration.source.MOST_IMAGES", 9)
    assert f"9 of 20 images in {images} are taken" in tnm(*command, tmp_path / "out").said


def _no_image(folder: Path, images: Path) -> None:
    for one in _files(images):
        one.unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_no_image, ("holds no image", ".jpeg")),
        (lambda f, i: (i / "1" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno"),
         ("cannot read the image", "1/broken.png")),
        (lambda f, i: (i / "0.jpg").write_bytes((i / "0.jpg").read_bytes()[:-300]),
         ("cannot read the image", "0.jpg")),
        (lambda f, i: (i / "gone.bmp").symlink_to("nowhere"), ("gone.bmp", "FileNotFoundError")),
        (lambda f, i: (f / "preprocessor_config.json").unlink(),
         ("has no preprocessor_config.json",)),
        (lambda f, i: (f / "preprocessor_config.json").write_text("{"),
         ("cannot load an image processor from",)),
    ],
)  # fmt: skip
def test_what_cannot_be_read(
    tnm: Tnm,
    folder: Path,
    images: Path,
    tmp_path: Path,
    spoil: Callable[[Path, Path], object],
    words: tuple[str, ...],
) -> None:
    spoil(folder, images)
    before = snapshot(tmp_path)
    result = tnm("calibrate", folder, images, "-o", tmp_path / "out", "-p", "2:4")
    result.assert_refused(*words)
    assert snapshot(tmp_path) == before


def test_images_that_do_not_fit_the_model(
    tnm: Tnm, folder: Path, images: Path, tmp_path: Path
) -> None:
    path = folder / "preprocessor_config.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "do_resize": False}))
    before = set(snapshot(tmp_path))
    command = ("calibrate", folder, images, "-o", tmp_path / "out", "-p", "2:4")
    tnm(*command).assert_refused("cannot process", "ViTImageProcessorPil")
    path.write_text(json.dumps({**told, "size": {"height": 8, "width": 8}}))
    tnm(*command).assert_refused_at_the_end("calibration failed", "8")
    assert set(snapshot(tmp_path)) == before


@pytest.mark.parametrize(
    ("model", "data", "options", "words"),
    [
        ("BERT", "IMAGES", (), ("a BertModel takes 'input_ids' and no images", "a text file")),
        ("VIT", "TEXT", (), ("takes 'pixel_values' and no sentences", "a folder of images")),
        ("CODE:model", "IMAGES", (), ("brings no image processor", "path/to/file.py:function")),
        ("VIT", "IMAGES", ("--max-tokens", 8), ("--max-tokens is for a text", "leave it out")),
        ("VIT", "IMAGES", ("--length", 8, "--tokens", 9),
         ("--length and --tokens are for a text", "--images", "leave them out")),
        ("VIT", "IMAGES", ("--recipe", "distilled", "--distill-tokens", 8), ("--distill-tokens",)),
        ("BERT", "TEXT", ("--images", 8), ("--images is for a folder of images", "leave it out")),
        ("VIT", "CODE:batches", ("--images", 8), ("--images", "makes its batches itself")),
        ("VIT", "IMAGES", ("--images", 0), ("--images",)),
        ("VIT", "nowhere", (), ("DATA is 'nowhere'", "a folder of images that exists")),
    ],
)  # fmt: skip
def test_data_of_another_kind(
    tnm: Tnm, folder: Path, images: Path, tmp_path: Path, model: str, data: str, options: Any,
    words: tuple[str, ...],
) -> None:  # fmt: skip
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 32, "vocab_size": 64}  # fmt: skip
    save_with_tokenizer(transformers.BertModel(transformers.BertConfig(**sizes)), tmp_path / "bert")
    (tmp_path / "text.txt").write_text("w1 w2\n")
    (tmp_path / "code.py").write_text("def model():\n    pass\n")
    names = {"BERT": tmp_path / "bert", "VIT": folder, "TEXT": tmp_path / "text.txt",
             "IMAGES": images, "CODE": tmp_path / "code.py"}  # fmt: skip
    model, data = (
        ":".join(str(names.get(part, part)) for part in one.split(":")) for one in (model, data)
    )
    before = snapshot(tmp_path)
    result = tnm("calibrate", model, data, "-o", tmp_path / "out", "-p", "2:4", *options)
    result.assert_refused(*words)
    assert snapshot(tmp_path) == before


def test_pillow_is_named(folder: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(folder)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(CommandError, match="the package pillow") as refused:
        image_batches(loaded, images, 8, 8)
    assert how_to_install("transformers") in str(refused.value)
