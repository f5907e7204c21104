"""tnm inspect, tnm plot, tnm --version."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import tnm_core
from tests.cli.conftest import Tnm

PNG = b"\x89PNG\r\n\x1a\n"


def test_version_and_help(tnm: Tnm) -> None:
    lines = tnm("--version").out.splitlines()
    assert lines[0] == f"tnm {tnm_core.__version__}"
    assert f", {tnm_core.build_info()['instruction_set']} of baseline" in lines[1]
    assert f" {platform.python_version()}, " in lines[2]
    assert lines[3].startswith(f"packages: numpy {np.__version__}, ")
    for arguments in ([], ["--help"], ["prune", "--help"], ["check", "--help"], ["plot", "--help"]):
        result = tnm(*arguments)
        assert result.status == 0
        assert "Usage" in result.out


def test_inspect_names_the_patterns_that_hold(tnm: Tnm, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    dense = rng.standard_normal((32, 32)).astype(np.float32)
    tensors = {
        "dense": dense,
        "both": dense * tnm_core.transposable_mask(dense, 2, 4),
        "rows": dense * tnm_core.nm_mask(dense, 2, 4),
        "finer": dense * tnm_core.transposable_mask(dense, 3, 16),
        "bias": np.zeros(4, np.float32),
    }
    save_file(tensors, tmp_path / "w.safetensors", metadata={"author": "someone"})
    result = tnm("inspect", tmp_path / "w.safetensors")
    assert result.status == 0
    assert "metadata author: someone" in result.out
    report = json.loads(tnm("inspect", tmp_path / "w.safetensors", "--json").out)
    found = {item["name"]: item for item in report["tensors"]}
    assert found["dense"]["rowwise"] == found["dense"]["transposable"] == []
    assert found["both"]["rowwise"] == found["both"]["transposable"] == ["2:4"]
    assert found["rows"]["rowwise"] == ["2:4"]
    assert "2:4" not in found["rows"]["transposable"]
    assert found["finer"]["transposable"][-1] == "3:16"
    assert found["both"]["sparsity"] == 0.5
    assert found["bias"]["sparsity"] == 1.0
    assert report["metadata"] == {"author": "someone"}


def test_inspect_shows_masks_by_their_shape(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks.safetensors"
    tnm("prune", model, "-o", masks, "-p", "2:4", "--masks-only")
    report = json.loads(tnm("inspect", masks, "--json").out)
    assert report["kind"] == "masks"
    found = {item["name"]: item for item in report["tensors"]}
    assert found["blocks.1.conv.weight"]["shape"] == [16, 12, 3, 3]
    assert found["blocks.1.conv.weight"]["transposable"] == ["2:4"]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_goes_away(model: Path, options: list[str]) -> None:
    code = "from tnm_core.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "inspect", str(model), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as stderr:
        assert stderr.read() == b""
    assert process.wait() == 141


@pytest.fixture
def pruned(tnm: Tnm, model: Path, tmp_path: Path) -> Path:
    out = tmp_path / "pruned.safetensors"
    tnm("prune", model, "-o", out, "-p", "2:4", "--report", tmp_path / "report.json")
    return out


@pytest.mark.parametrize("tensor", ["blocks.0.up.weight", "blocks.1.conv.weight"])
def test_plot_mask(tnm: Tnm, model: Path, pruned: Path, tmp_path: Path, tensor: str) -> None:
    for number, options in enumerate(([], ["--dense", model], ["-p", "2:4"])):
        picture = tmp_path / f"{number}.png"
        result = tnm("plot", "mask", pruned, "--tensor", tensor, "-o", picture, *options)
        assert result.status == 0, result.err
        assert picture.read_bytes().startswith(PNG)
    assert (tmp_path / "0.png").read_bytes() != (tmp_path / "1.png").read_bytes()


def test_plot_mask_of_packed_masks(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    masks, picture = tmp_path / "masks.safetensors", tmp_path / "mask.svg"
    tnm("prune", model, "-o", masks, "-p", "2:4", "--masks-only")
    result = tnm("plot", "mask", masks, "--tensor", "blocks.0.up.weight", "-o", picture)
    assert result.status == 0, result.err
    assert "<svg" in picture.read_text()


def test_plot_retained(tnm: Tnm, pruned: Path, tmp_path: Path) -> None:
    report, picture = tmp_path / "report.json", tmp_path / "retained.png"
    assert tnm("plot", "retained", report, report, "-o", picture).status == 0
    assert picture.read_bytes().startswith(PNG)


def test_plot_bad_input(tnm: Tnm, model: Path, pruned: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    broken = tmp_path / "broken.json"
    broken.write_text('{"command": "prune", "layers": [{}]}')
    small = tmp_path / "small.safetensors"
    save_file({"blocks.0.up.weight": np.ones((8, 8), np.float32)}, small)
    tensor = ["--tensor", "blocks.0.up.weight"]
    for arguments, word in (
        (["mask", pruned, "--tensor", "nope", "-o", picture], "no tensor 'nope'"),
        (["mask", model, *tensor, "-o", picture], "--pattern"),
        (["mask", pruned, "--tensor", "blocks.0.up.bias", "-o", picture], "shape (24,)"),
        (["mask", pruned, *tensor, "-o", tmp_path / "picture.txt"], ".png"),
        (["mask", pruned, *tensor, "-o", picture, "--dense", small], "before pruning"),
        (["retained", broken, "-o", picture], "not a report"),
        (["retained", tmp_path / "none.json", "-o", picture], "none.json"),
    ):
        tnm("plot", *arguments).assert_refused(word)
    assert not picture.exists()


def test_signalling_nan(tnm: Tnm, tmp_path: Path) -> None:
    weights = np.ones((4, 4), np.float16)
    weights[0, 0], weights[1, 1] = 0, np.array(0x7C01, np.uint16).view(np.float16)
    np.save(tmp_path / "w.npy", weights)
    shown = tnm("inspect", tmp_path / "w.npy")  # comparing one raises a warning in NumPy
    assert (shown.status, shown.err) == (0, "")
    assert "0.0625" in shown.out
