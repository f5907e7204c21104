"""The examples run, and come out where they should."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    def run_example(name: str, *arguments: str) -> str:
        monkeypatch.syspath_prepend(EXAMPLES)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        monkeypatch.delitem(sys.modules, "digits", raising=False)
        for own in ("image_folders", "packaged_network"):
            monkeypatch.delitem(sys.modules, own, raising=False)
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run_example


def _accuracies(told: str) -> list[float]:
    return [float(one) for one in re.findall(r"(?:accuracy|dense|tuned) +(0\.\d{3})\b", told)]


def test_prune_and_finetune(run) -> None:
    told = run("prune_and_finetune.py", "--pattern", "2:8", "--epochs", "6")
    dense, pruned, tuned = _accuracies(told)
    assert dense > 0.85
    assert tuned > 0.8
    assert tuned > pruned
    assert "zeros in layer 2  0.750" in told


@pytest.mark.parametrize("recipe", ["dynamic", "sr-ste", "fading"])
def test_train_from_scratch(run, recipe: str) -> None:
    told = run("train_from_scratch.py", "--recipe", recipe, "--epochs", "8")
    assert _accuracies(told)[0] > 0.85
    assert "flip rate" in told


@pytest.mark.filterwarnings("ignore")  # those of the frameworks
@pytest.mark.parametrize("trainer", ["plain", "accelerate", "transformers", "lightning"])
def test_trainers(run, trainer: str) -> None:
    needs = {"transformers": "transformers", "lightning": "pytorch_lightning"}
    pytest.importorskip("accelerate" if trainer == "accelerate" else needs.get(trainer, "torch"))
    told = run("trainers.py", "--trainer", trainer, "--epochs", "8")
    assert "2:4 on 2 layers (1 left dense), fading" in told
    assert _accuracies(told)[0] > 0.85
    assert "zeros 0.500" in told


def test_fsdp_two_processes() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "fsdp_two_processes.py"), "--epochs", "5"],
        capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert _accuracies(done.stdout)[0] > 0.5
    assert "after 10 refreshes" in done.stdout
    assert "zeros in layer 2: 0.500" in done.stdout


def test_resnet(run) -> None:
    told = run("resnet.py", "--epochs", "4")
    assert "2:4 on 5 of 7 layers" in told
    assert "1 input channels < m = 4" in told
    assert _accuracies(told)[0] > 0.6


def test_resnet_on_folders_of_images(run, tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for part, name, number in ((p, c, i) for p in ("train", "val") for c in "ab" for i in range(4)):
        folder = tmp_path / part / name
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (40 + number, 50, 3), dtype=np.uint8)
        pixels[..., "ab".index(name)] = 255
        Image.fromarray(pixels).save(folder / f"{number}.png")
    told = run(
        "resnet.py", "--images", str(tmp_path), "--size", "32", "--batch", "4", "--epochs", "1"
    )
    assert "2:4 on 19 of 21 layers" in told
    assert _accuracies(told)


@pytest.mark.parametrize("order", ["first", "last"])
def test_prune_image_network(run, tmp_path: Path, order: str) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(6):
        blocks = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(np.kron(blocks, np.ones((8, 8, 1), np.uint8))).save(
            tmp_path / f"{number}.png"
        )
    told = run(
        "prune_image_network.py", "--network", "tiny", "--images", str(tmp_path), "--pattern",
        "2:4", "--size", "24", "--crops", "24", "--held-out", "16", "--batch", "8", "--seconds",
        "0.01", "--output", str(tmp_path / "state.pt"), "--fold", order,
    )  # fmt: skip
    assert "24 crops of 4 images; 16 of 2 measure" in told
    assert "4 of 8 layers" in told
    assert "1 output channels in each of 64 groups < m = 4" in told
    assert "7 folded, 0 left" in told
    assert "4 layers packed" in told
    found = {
        name: (float(agreement), float(cosine))
        for name, agreement, cosine in re.findall(
            r"^([\w-]+) +top-1 agreement (\S+) +logit cosine (\S+)$", told, re.MULTILINE
        )
    }
    between = ["folded"] if order == "last" else []
    assert list(found) == ["pruned", *between, "packed"]
    assert found["packed"][1] > 0.9
    unpacked = found["folded" if between else "pruned"]
    assert found["packed"][1] == pytest.approx(unpacked[1], abs=1e-3)
    assert ("batch normalisation: 7" in told) == (order == "last")
    assert len(re.findall(r"images a second", told)) == 3
    state = torch.load(tmp_path / "state.pt")
    assert int((state["17.weight"] != 0).sum()) == 16 * 64 // 2
