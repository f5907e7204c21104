"""Every kind of file that tnm prune reads: what is pruned, and what stays byte for byte."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import tnm_core
from tests.cli.conftest import Tnm, keeps_exactly, most_kept

RNG = np.random.default_rng(11)


@pytest.mark.parametrize(
    "dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64], ids=lambda d: d.__name__
)
def test_floating_dtypes(tnm: Tnm, tmp_path: Path, dtype: type) -> None:
    weight = RNG.standard_normal((16, 32)).astype(dtype)
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save_file({"w": weight}, source)
    assert tnm("prune", source, "-o", out, "-p", "4:8").status == 0
    pruned = load_file(out)["w"]
    assert pruned.dtype == weight.dtype
    mask = tnm_core.transposable_mask(weight, 4, 8)
    np.testing.assert_array_equal(pruned, np.where(mask, weight, weight.dtype.type(0)))
    assert tnm("check", out).status == 0


def test_dtypes_that_numpy_lacks_are_copied(tnm: Tnm, tmp_path: Path) -> None:
    codes = {"F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4}
    data, header = b"", {}
    for code, bits in codes.items():
        raw = RNG.bytes(64 * bits // 8)
        header[code] = {
            "dtype": code,
            "shape": [8, 8],
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    weight = RNG.standard_normal((8, 8)).astype(np.float32)
    end = len(data) + weight.nbytes
    header["w"] = {"dtype": "F32", "shape": [8, 8], "data_offsets": [len(data), end]}
    text = json.dumps(header).encode()
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    source.write_bytes(struct.pack("<Q", len(text)) + text + data + weight.tobytes())

    assert tnm("prune", source, "-o", out, "-p", "2:4").status == 0
    written = out.read_bytes()
    (length,) = struct.unpack("<Q", written[:8])
    after = json.loads(written[8 : 8 + length])
    assert length % 8 == 0
    assert written[8 + length :][: len(data)] == data
    assert {code: after[code] for code in codes} == {code: header[code] for code in codes}
    with safe_open(out, framework="numpy") as file:
        assert keeps_exactly(file.get_tensor("w") != 0, 2, 4)


def _sharded(folder: Path) -> Path:
    folder.mkdir()
    shards = {
        "model-1-of-2.safetensors": {
            "a.weight": RNG.standard_normal((8, 16)).astype(np.float32),
            "a.bias": RNG.standard_normal(8).astype(np.float32),
        },
        "model-2-of-2.safetensors": {
            "b.weight": RNG.standard_normal((16, 8)).astype(np.float32),
        },
    }
    for name, tensors in shards.items():
        save_file(tensors, folder / name, metadata={"format": "pt"})
    weight_map = {tensor: name for name, tensors in shards.items() for tensor in tensors}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1056}, "weight_map": weight_map}))
    return index


@pytest.mark.parametrize("by", ["index", "folder"])
def test_sharded(tnm: Tnm, tmp_path: Path, by: str) -> None:
    index = _sharded(tmp_path / "in")
    out = tmp_path / "out"
    result = tnm("prune", index if by == "index" else index.parent, "-o", out, "-p", "2:4")
    assert result.status == 0, result.err
    assert sorted(path.name for path in out.iterdir()) == sorted(
        path.name for path in index.parent.iterdir()
    )
    new_index = json.loads((out / index.name).read_text())
    old_index = json.loads(index.read_text())
    assert new_index["weight_map"] == old_index["weight_map"]
    assert new_index["metadata"]["total_size"] == 1056
    assert new_index["metadata"]["tnm.pattern"] == "2:4"
    for tensor, shard in new_index["weight_map"].items():
        old, new = load_file(index.parent / shard)[tensor], load_file(out / shard)[tensor]
        if tensor.endswith("bias"):
            np.testing.assert_array_equal(new, old)
        else:
            assert keeps_exactly(new != 0, 2, 4)
    assert tnm("check", out).status == 0
    for shard in set(new_index["weight_map"].values()):
        assert tnm("check", out / shard).status == 0


def test_sharded_in_place_keeps_other_files(tnm: Tnm, tmp_path: Path) -> None:
    index = _sharded(tmp_path / "in")
    (index.parent / "config.json").write_text("{}")
    names = sorted(path.name for path in index.parent.iterdir())
    arguments = ("prune", index.parent, "-o", index.parent, "-p", "2:4")
    tnm(*arguments).assert_refused("exists already")
    assert tnm(*arguments, "--force").status == 0
    assert sorted(path.name for path in index.parent.iterdir()) == names
    assert tnm("check", index).status == 0


def test_sharded_to_masks(tnm: Tnm, tmp_path: Path) -> None:
    index = _sharded(tmp_path / "in")
    out = tmp_path / "masks.safetensors"
    assert tnm("prune", index, "-o", out, "-p", "2:4", "--masks-only").status == 0
    assert set(tnm_core.checkpoint.read_masks(out)) == {"a.weight", "b.weight"}


def test_folder_with_a_single_file(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "pruned.safetensors"
    out.parent.mkdir()
    assert tnm("prune", model.parent, "-o", out, "-p", "2:4").status == 0
    assert tnm("check", out.parent).status == 0


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
def test_npy(tnm: Tnm, tmp_path: Path, dtype: str, order: str) -> None:
    weight = np.asarray(RNG.standard_normal((16, 24)), dtype=dtype, order=order)
    source, out = tmp_path / "embedding.npy", tmp_path / "out.npy"
    np.save(source, weight)
    assert tnm("prune", source, "-o", out, "-p", "2:4").status == 0
    pruned = np.load(out)
    assert pruned.dtype == weight.dtype
    assert pruned.flags.f_contiguous == weight.flags.f_contiguous
    assert keeps_exactly(pruned != 0, 2, 4)
    np.testing.assert_array_equal(pruned[pruned != 0], weight[pruned != 0])
    assert tnm("check", out, "-p", "2:4").status == 0
    assert tnm("check", source, "-p", "2:4").status == 1


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])
def test_npz(tnm: Tnm, tmp_path: Path, save: Callable[..., None]) -> None:
    arrays = {
        "up": RNG.standard_normal((16, 24)).astype(np.float32),
        "fortran": np.asfortranarray(RNG.standard_normal((8, 12))),
        "bias": RNG.standard_normal(16).astype(np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "objects": np.array([{"never": "unpickled"}], dtype=object),
        "scalar": np.float64(3.5),
    }
    source, out = tmp_path / "in.npz", tmp_path / "out.npz"
    save(source, **arrays)
    result = tnm("prune", source, "-o", out, "-p", "2:4")
    assert result.status == 0, result.err
    pruned = np.load(out)
    assert list(pruned.keys()) == list(arrays)
    for name in ("up", "fortran"):
        assert keeps_exactly(pruned[name] != 0, 2, 4)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out) as new:
        for name in ("bias", "empty", "objects", "scalar"):
            assert new.read(f"{name}.npy") == old.read(f"{name}.npy")
        assert [i.compress_type for i in new.infolist()] == [
            i.compress_type for i in old.infolist()
        ]
    checked = json.loads(tnm("check", out, "--json").out)
    assert {item["name"]: item["pattern"] for item in checked["tensors"]} == {
        "up": "2:4",
        "fortran": "2:4",
    }


def test_shapes_that_do_not_divide(tnm: Tnm, tmp_path: Path) -> None:
    source, out = tmp_path / "in.npy", tmp_path / "out.npy"
    np.save(source, RNG.standard_normal((13, 18)))
    assert tnm("prune", source, "-o", out, "-p", "2:4").status == 0
    pruned = np.load(out)
    assert most_kept(pruned != 0, 4) == (2, 2)
    assert keeps_exactly(pruned[:12, :16] != 0, 2, 4)


def test_masks_only(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "masks.safetensors"
    assert tnm("prune", model, "-o", out, "-p", "2:4", "--masks-only").status == 0
    masks = tnm_core.checkpoint.read_masks(out)
    weights = load_file(model)
    for name in ("blocks.0.up.weight", "blocks.0.down.weight"):
        np.testing.assert_array_equal(masks[name], tnm_core.transposable_mask(weights[name], 2, 4))
    assert masks["blocks.1.conv.weight"].shape == (16, 12, 3, 3)
    assert len(masks) == 3
    packed = load_file(out)
    assert {name: array.size for name, array in packed.items()} == {
        name: mask.size // 8 for name, mask in masks.items()
    }
    assert tnm("check", out).status == 0
