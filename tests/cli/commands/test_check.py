"""tnm check: valid, violated (and where), or impossible to tell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.cli.conftest import Tnm
from tnm_core.checkpoint import save_masks


@pytest.fixture
def pruned(tnm: Tnm, model: Path, tmp_path: Path) -> Path:
    out = tmp_path / "pruned.safetensors"
    assert tnm("prune", model, "-o", out, "-p", "2:4").status == 0
    return out


def _broken(pruned: Path, name: str, change: tuple[int, ...]) -> Path:
    """The same file with one dropped weight back."""
    raw = bytearray(pruned.read_bytes())
    weight = load_file(pruned)[name]
    assert weight[change] == 0
    start = bytes(raw).find(weight.tobytes())
    assert start > 0
    weight[change] = 1.0
    raw[start : start + weight.nbytes] = weight.tobytes()
    path = pruned.with_name("broken.safetensors")
    path.write_bytes(raw)
    return path


def test_valid(tnm: Tnm, pruned: Path) -> None:
    result = tnm("check", pruned)
    assert result.status == 0
    assert "3 of 3 tensors obey transposable 2:4 (at most 2)" in result.out


def test_violation_in_a_linear_layer_is_named(tnm: Tnm, pruned: Path) -> None:
    name = "blocks.0.up.weight"
    weight = load_file(pruned)[name]
    row, column = next(zip(*np.nonzero(weight[12:, 8:] == 0), strict=True))
    row, column = int(row) + 12, int(column) + 8
    broken = _broken(pruned, name, (row, column))
    result = tnm("check", broken)
    assert result.status == 1
    start = column // 4 * 4
    place = f"{name}[{row}, {start}:{start + 4}] keeps 3, expected at most 2 (row)"
    assert f"violated: {place}" in result.out
    assert "2 of 3 tensors obey" in result.out
    report = json.loads(tnm("check", broken, "--json").out)
    assert report["valid"] is False
    assert {item["name"]: item["violation"] for item in report["tensors"]}[name] == place


def test_violation_in_a_convolution_is_named(tnm: Tnm, pruned: Path) -> None:
    name = "blocks.1.conv.weight"
    weight = load_file(pruned)[name]
    channel = int(np.flatnonzero(weight[9, :, 2, 1] == 0)[0])
    start = channel // 4 * 4
    result = tnm("check", _broken(pruned, name, (9, channel, 2, 1)))
    assert result.status == 1
    assert f"{name}[9, {start}:{start + 4}, 2, 1] keeps 3" in result.out


def test_columns_count_unless_rowwise(tnm: Tnm, tmp_path: Path) -> None:
    weight = np.zeros((8, 8), np.float32)
    weight[:, ::2] = 1  # every row 2:4, some columns full
    np.save(tmp_path / "w.npy", weight)
    result = tnm("check", tmp_path / "w.npy", "-p", "2:4")
    assert result.status == 1
    assert "w[0:4, 0] keeps 4, expected at most 2 (column)" in result.out
    assert tnm("check", tmp_path / "w.npy", "-p", "2:4", "--rowwise").status == 0


def test_at_most_and_exact(tnm: Tnm, tmp_path: Path) -> None:
    weight = np.eye(8, dtype=np.float32)
    weight[3, 3] = 0
    np.save(tmp_path / "w.npy", weight)
    assert tnm("check", tmp_path / "w.npy", "-p", "1:4").status == 0
    result = tnm("check", tmp_path / "w.npy", "-p", "1:4", "--exact")
    assert result.status == 1
    assert "w[3, 0:4] keeps 0, expected exactly 1 (row)" in result.out


def test_rowwise_is_read_from_the_metadata(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "rowwise.safetensors"
    tnm("prune", model, "-o", out, "-p", "2:4", "--method", "rowwise")
    result = tnm("check", out)
    assert result.status == 0
    assert "row-wise 2:4" in result.out
    assert tnm("check", out, "--transposable").status == 1


def test_pattern_of_the_command_line_wins(tnm: Tnm, pruned: Path) -> None:
    assert tnm("check", pruned, "-p", "4:8").status == 0
    assert tnm("check", pruned, "-p", "1:4").status == 1


def test_globs(tnm: Tnm, pruned: Path) -> None:
    result = tnm("check", pruned, "--include", "*.0.*", "--json")
    names = [item["name"] for item in json.loads(result.out)["tensors"]]
    assert sorted(names) == ["blocks.0.down.weight", "blocks.0.up.weight"]
    tnm("check", pruned, "--exclude", "*").assert_refused("none of the pruned layers")


def test_masks_are_exact_by_default(tnm: Tnm, tmp_path: Path) -> None:
    path = tmp_path / "masks.safetensors"
    mask = np.tile(np.eye(4, dtype=bool), (2, 2))
    mask[5, 5] = False
    save_masks(path, {"layer": mask}, pattern="1:4")
    result = tnm("check", path)
    assert result.status == 1
    assert "layer[5, 4:8] keeps 0, expected exactly 1" in result.out
    assert tnm("check", path, "--at-most").status == 0


def test_masks_without_metadata_need_a_pattern(tnm: Tnm, tmp_path: Path) -> None:
    path = tmp_path / "masks.safetensors"
    tiled, small = np.tile(np.eye(4, dtype=bool), (2, 2)), np.eye(3, dtype=bool)
    save_masks(path, {"embedding": tiled, "small": small})
    tnm("check", path).assert_refused("does not say how it was pruned", "--pattern")
    result = tnm("check", path, "-p", "1:4")
    assert result.status == 0
    assert "2 of 2 tensors" in result.out


def test_damaged_metadata(tnm: Tnm, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    good = {"tnm.pattern": "2:4", "tnm.method": "optimal", "tnm.score": "abs", "tnm.version": "0"}
    for key, value, word in (
        ("tnm.layers", '["gone"]', "gone"),
        ("tnm.layers", "[[", "damaged"),
        ("tnm.layers", "3", "damaged"),
        ("tnm.layers", '{"w": 1}', "damaged"),
        ("tnm.pattern", "4:2", "expected n:m"),
        ("tnm.previous", "[3]", "damaged"),
    ):
        metadata = {**good, "tnm.layers": '["w"]', key: value}
        save_file({"w": np.zeros((8, 8), np.float32)}, path, metadata=metadata)
        tnm("check", path).assert_refused(word)


def test_rowwise_pattern(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    weight = np.zeros((8, 8), np.float32)
    weight[:, ::2] = 1  # every row 2:4, some columns full
    file = tmp_path / "w.npy"
    np.save(file, weight)
    result = tnm("check", file, "-p", "row 2:4", "--json")
    assert result.status == 0
    (told,) = json.loads(result.out)["tensors"]
    assert (told["pattern"], told["transposable"]) == ("2:4", False)
    assert "row-wise 2:4 (at most 2)" in tnm("check", file, "-p", "row 2:4", "--rowwise").out
    both = tnm("check", file, "-p", "row 2:4", "--transposable")
    both.assert_refused("--transposable came with --pattern 'row 2:4'", "expected")


def test_files_say_rowwise_as_they_always_did(tnm: Tnm, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    weight = np.tile(np.array([1, 1, 0, 0], np.float32), (8, 2))
    good = {"tnm.method": "rowwise", "tnm.score": "abs", "tnm.version": "0.0.1"}
    for pattern in ("2:4", "row 2:4"):
        metadata = {**good, "tnm.pattern": pattern, "tnm.layers": '["w"]'}
        save_file({"w": weight}, path, metadata=metadata)
        assert "row-wise 2:4" in tnm("check", path).out
        assert "row-wise 3:4" in tnm("check", path, "-p", "3:4").out
        assert tnm("check", path, "--transposable").status == 1
        assert "row-wise" in tnm("inspect", path).out
