"""What the commands say about files of packed matrices."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import load_file, save_file

import tnm_core
from tests.cli.conftest import Tnm, snapshot
from tnm_core.checkpoint import save_packed


def _save(path: Path, pattern: str | None, kept_too_much: bool = False) -> Path:
    rng = np.random.default_rng(0)
    up = rng.normal(size=(16, 24)).astype(np.float32)
    down = rng.normal(size=(24, 16)).astype(ml_dtypes.bfloat16)
    masks = [tnm_core.transposable_mask(weight, "2:4") for weight in (up, down)]
    masks[0][4, 8:12] |= kept_too_much
    tensors = {
        "up.weight": tnm_core.pack(up, masks[0]),
        "down.weight": tnm_core.pack(down, masks[1]),
        "embed.weight": up,
        "up.bias": np.ones(16, np.float32),
    }
    save_packed(path, tensors, pattern=pattern)
    return path


def test_check_reads_the_pattern_of_the_file(tnm: Tnm, tmp_path: Path) -> None:
    result = tnm("check", _save(tmp_path / "w.safetensors", "2:4"))
    assert result.status == 0
    assert "2 of 2 tensors obey transposable 2:4 (at most 2)" in result.out


def test_check_takes_a_pattern(tnm: Tnm, tmp_path: Path) -> None:
    path = _save(tmp_path / "w.safetensors", None)
    tnm("check", path).assert_refused("does not say how it was pruned")
    assert tnm("check", path, "--pattern", "2:4").status == 0
    assert tnm("check", path, "--pattern", "1:4").status == 1
    assert tnm("check", path, "--pattern", "2:4", "--include", "embed*").status == 1


def test_check_names_the_violation(tnm: Tnm, tmp_path: Path) -> None:
    result = tnm("check", _save(tmp_path / "w.safetensors", "2:4", kept_too_much=True))
    assert result.status == 1
    assert "violated: up.weight[4, 8:12] keeps 4, expected at most 2 (row)" in result.out
    assert "1 of 2 tensors obey" in result.out


def test_inspect_shows_matrices_not_their_parts(tnm: Tnm, tmp_path: Path) -> None:
    path = _save(tmp_path / "w.safetensors", "2:4")
    report = json.loads(tnm("inspect", path, "--json").out)
    found = {tensor.pop("name"): tensor for tensor in report["tensors"]}
    assert found.keys() == {"up.weight", "down.weight", "embed.weight", "up.bias"}
    assert found["down.weight"] == {
        "shape": [24, 16],
        "dtype": "packed bfloat16",
        "sparsity": 0.5,
        "rowwise": ["2:4"],
        "transposable": ["2:4"],
    }
    assert found["embed.weight"]["dtype"] == "float32"
    assert "packed float32" in tnm("inspect", path).out


def test_plot_draws_a_packed_matrix(tnm: Tnm, tmp_path: Path) -> None:
    path, out = _save(tmp_path / "w.safetensors", "2:4"), tmp_path / "mask.png"
    assert tnm("plot", "mask", path, "--tensor", "up.weight", "-o", out).status == 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_prune_wants_dense_weights(tnm: Tnm, tmp_path: Path) -> None:
    path = _save(tmp_path / "w.safetensors", "2:4")
    before = snapshot(tmp_path)
    result = tnm("prune", path, "-o", tmp_path / "out.safetensors", "-p", "2:4")
    result.assert_refused("holds packed matrices", "expected a checkpoint of dense weights")
    assert snapshot(tmp_path) == before


def test_damaged_files_are_refused(tnm: Tnm, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    shapes = {"tnm.packed_format": "packed values 1", "tnm.packed_shapes": '{"up": [4, 4]}'}
    parts = {"up_values": np.ones(3, np.float32), "up_bits": np.array([7, 1], np.uint8)}
    save_file(parts, path, metadata=shapes)
    assert load_file(path).keys() == parts.keys()
    for command in (["inspect", path], ["check", path, "-p", "2:4"]):
        tnm(*command).assert_refused("the packed matrix 'up' is damaged", "write the file again")
