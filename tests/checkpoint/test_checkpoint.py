"""Checkpoints: one tensor at a time, rewritten at once or not at all; bit-packed masks."""

from __future__ import annotations

import json
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from tnm_core import Pattern
from tnm_core.checkpoint import (
    Checkpoint,
    CheckpointError,
    FileTransaction,
    PruneRecord,
    SafetensorsFile,
    TensorInfo,
    cut_boxes,
    open_checkpoint,
    read_masks,
    save_masks,
    write_masks,
)

RECORD = PruneRecord("2:4", "optimal", "abs", "1.2.3", ("w",))


def _halving(checkpoint: Checkpoint) -> Callable[[TensorInfo], Iterator[NDArray[Any]]]:
    """Halve a tensor, in two blocks where it can be cut."""

    def halve(info: TensorInfo) -> Iterator[NDArray[Any]]:
        most = max(1, info.entries // 2)
        for box in cut_boxes(info.shape, (1,) * len(info.shape), most, fortran=info.fortran):
            array = checkpoint.read_block(info.name, box)
            yield array * array.dtype.type(0.5)

    return halve


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    if path.suffix == ".npy":
        np.save(path, arrays["w"])
    elif path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        save_file(arrays, path)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".npy"])
def test_rewrite_changes_the_named_tensors_alone(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    arrays = {"w": rng.standard_normal((5, 7)), "v": rng.standard_normal((3, 2))}
    source, target = tmp_path / f"w{suffix}", tmp_path / f"out{suffix}"
    _write(source, arrays)
    with open_checkpoint(source) as checkpoint:
        np.testing.assert_array_equal(checkpoint.read("w"), arrays["w"])
        assert checkpoint.tensors["w"].shape == (5, 7)
        assert checkpoint.tensors["w"].nbytes == 280
        assert checkpoint.tensors["w"].entries == 35
        name = next(iter(checkpoint.tensors)) if suffix == ".npy" else "w"
        record = PruneRecord("2:4", "optimal", "abs", "1.2.3", (name,))
        checkpoint.rewrite(target, record, _halving(checkpoint))
    with open_checkpoint(target) as rewritten:
        values = {name: rewritten.read(name) for name in rewritten.tensors}
    np.testing.assert_array_equal(values.pop("out" if suffix == ".npy" else "w"), arrays["w"] / 2)
    for name, value in values.items():
        np.testing.assert_array_equal(value, arrays[name])


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_records_round_trip(tmp_path: Path, suffix: str) -> None:
    first, second, third = (tmp_path / f"{name}{suffix}" for name in "abc")
    _write(first, {"w": np.ones((2, 2)), "v": np.ones((2, 2))})
    both = PruneRecord("2:4", "greedy", "square", "1.2.3", ("w", "v"), "conv1d")
    with open_checkpoint(first) as checkpoint:
        assert checkpoint.records == []
        checkpoint.rewrite(second, both, _halving(checkpoint))
    with open_checkpoint(second) as checkpoint:
        (record,) = checkpoint.records
        assert record == PruneRecord(**{**vars(both), "layers": record.layers})
        assert set(record.layers) == {"v", "w"}
        checkpoint.rewrite(third, RECORD, _halving(checkpoint))
    with open_checkpoint(third) as checkpoint:
        patterns = {record.layers: record.method for record in checkpoint.records}
    assert patterns == {("w",): "optimal", ("v",): "greedy"}


def test_header_and_data_are_what_the_library_writes(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arrays = {
        "long": rng.integers(0, 9, (3, 5)),
        "flag": rng.random(3) > 0.5,
        "brain": rng.standard_normal((2, 3)).astype(ml_dtypes.bfloat16),
        "eight": rng.standard_normal((4, 4)).astype(ml_dtypes.float8_e5m2),
        "none": np.zeros((0, 3), np.float16),
        "scalar": np.array(2.5, np.float32),
        "w": rng.standard_normal((4, 4)).astype(np.float32),
    }
    source, target = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save_file(arrays, source, metadata={"näme": "välue"})
    with open_checkpoint(source) as checkpoint:
        checkpoint.rewrite(target, RECORD, lambda info: [checkpoint.read(info.name)])
    with SafetensorsFile(target) as rewritten:
        assert rewritten.metadata["näme"] == "välue"
        assert rewritten.metadata["tnm.pattern"] == "2:4"
    with safe_open(target, framework="numpy") as file:
        for name in arrays.keys() - {"eight"}:  # which the library cannot give to NumPy
            loaded = file.get_tensor(name)
            assert loaded.dtype == arrays[name].dtype
            assert loaded.tobytes() == arrays[name].tobytes()
    old, new = source.read_bytes(), target.read_bytes()
    old_data = old[8 + struct.unpack("<Q", old[:8])[0] :]
    new_data = new[8 + struct.unpack("<Q", new[:8])[0] :]
    assert new_data == old_data


def test_memory_is_bounded_by_the_largest_tensor(tmp_path: Path) -> None:
    source, target = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    one = np.ones((512, 512), np.float32)  # 1 MiB
    save_file({f"{i:02}": one for i in range(40)}, source)
    record = PruneRecord("2:4", "optimal", "abs", "0", tuple(f"{i:02}" for i in range(0, 40, 2)))
    tracemalloc.start()
    try:
        with open_checkpoint(source) as checkpoint:
            checkpoint.rewrite(target, record, _halving(checkpoint))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * one.nbytes
    assert load_file(target)["38"][0, 0] == 0.5


def test_a_failing_transform_leaves_the_target(tmp_path: Path) -> None:
    source, target = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save_file({"a": np.ones((2, 2)), "w": np.ones((2, 2))}, source)
    target.write_bytes(b"precious")

    def fail(info: TensorInfo) -> list[NDArray[Any]]:
        raise ZeroDivisionError

    def convert(info: TensorInfo) -> list[NDArray[Any]]:
        return [np.ones(info.shape, np.float32)]

    def stop(info: TensorInfo) -> list[NDArray[Any]]:
        return [np.ones((1, 2))]

    with open_checkpoint(source) as checkpoint:
        with pytest.raises(ZeroDivisionError):
            checkpoint.rewrite(target, RECORD, fail)
        with pytest.raises(TypeError, match="float32"):
            checkpoint.rewrite(target, RECORD, convert)
        with pytest.raises(TypeError, match="16 bytes for w, expected 32"):
            checkpoint.rewrite(target, RECORD, stop)
        missing = PruneRecord("2:4", "optimal", "abs", "0", ("gone",))
        with pytest.raises(CheckpointError, match="gone"):
            checkpoint.rewrite(target, missing, _halving(checkpoint))
    assert target.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.safetensors", "out.safetensors"]


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    source = tmp_path / "in.safetensors"
    save_file({"w": np.ones((64, 64))}, source)
    with open_checkpoint(source) as checkpoint:
        with source.open("r+b") as file:
            file.truncate(1000)
        with pytest.raises(CheckpointError, match="truncated"):
            checkpoint.read("w")


def test_transaction_of_several_files(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with FileTransaction() as transaction:
        transaction.make_folder(folder)
        transaction.open(folder / "a").write(b"1")
        transaction.open(folder / "b").write(b"2")
        assert not (folder / "a").exists()
    assert [(folder / name).read_bytes() for name in "ab"] == [b"1", b"2"]
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_transaction_that_fails(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with FileTransaction() as transaction:
            transaction.make_folder(tmp_path / "new")
            transaction.open(tmp_path / "new" / "a").write(b"1")
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


def _masks() -> dict[str, NDArray[np.bool_]]:
    rng = np.random.default_rng(4)
    shapes = [(3, 5), (8, 8), (2, 3, 4, 5), (0, 4), (7,), ()]
    return {f"mask {shape}": rng.random(shape) > 0.5 for shape in shapes}


def test_masks_round_trip(tmp_path: Path) -> None:
    path, masks = tmp_path / "masks.safetensors", _masks()
    save_masks(path, masks)
    loaded = read_masks(path)
    assert list(loaded) == list(masks)
    for name, mask in masks.items():
        assert loaded[name].dtype == np.bool_
        assert loaded[name].shape == mask.shape
        np.testing.assert_array_equal(loaded[name], mask)


def test_mask_format_is_as_documented(tmp_path: Path) -> None:
    path = tmp_path / "masks.safetensors"
    mask = np.zeros((3, 5), bool)
    mask[0, 1] = mask[2, 4] = True
    save_masks(path, {"w": mask.T}, pattern="1:4", method="rowwise")
    packed = load_file(path)["w"]
    entries = mask.T.reshape(-1)
    expected = [0, 0]
    for place in np.flatnonzero(entries):
        expected[place // 8] += 2 ** (place % 8)
    assert packed.dtype == np.uint8
    assert packed.tolist() == expected
    with SafetensorsFile(path) as file:
        assert json.loads(file.metadata["tnm.mask_shapes"]) == {"w": [5, 3]}
        assert file.records[0].pattern == "1:4"
        assert file.records[0].transposable is False


def test_masks_that_are_not_bool(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"'w' has dtype float64; expected bool"):
        save_masks(tmp_path / "masks.safetensors", {"w": np.ones((2, 2))})
    assert list(tmp_path.iterdir()) == []


def test_masks_of_a_shape_that_was_not_announced(tmp_path: Path) -> None:
    def masks() -> Iterator[NDArray[np.bool_]]:
        yield np.ones((4, 4), bool)

    with pytest.raises(ValueError, match="2 bytes, 1 were announced"):
        write_masks(tmp_path / "m.safetensors", {"w": (2, 4)}, masks(), None)
    assert list(tmp_path.iterdir()) == []


def test_damaged_mask_files(tmp_path: Path) -> None:
    path = tmp_path / "masks.safetensors"
    save_file({"w": np.ones((2, 2))}, path)
    with pytest.raises(CheckpointError, match="holds tensors, not masks"):
        read_masks(path)
    packed = {"w": np.array([255, 255], np.uint8)}
    good = {"tnm.mask_format": "packed bits 1", "tnm.mask_shapes": '{"w": [3, 5]}'}
    for change, words in (
        ({}, "beyond its 15 entries"),
        ({"tnm.mask_shapes": '{"w": [3, 6]}'}, "damaged"),
        ({"tnm.mask_shapes": '{"w": [-3, -5]}'}, "damaged"),
        ({"tnm.mask_shapes": '{"w": "35"}'}, "damaged"),
        ({"tnm.mask_shapes": '{"v": [3, 5]}'}, "damaged"),
        ({"tnm.mask_shapes": "[["}, "damaged"),
        ({"tnm.mask_shapes": "[]"}, "damaged"),
        ({"tnm.mask_format": "packed bits 9"}, "upgrade"),
    ):
        save_file(packed, path, metadata={**good, **change})
        with pytest.raises(CheckpointError, match=words):
            read_masks(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_checkpoint(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("pattern", "method", "told"),
    [
        ("2:4", "greedy", ("2:4", "greedy", True)),
        ("2 : 4", "optimal", ("2:4", "optimal", True)),
        ((2, 4), "optimal", ("2:4", "optimal", True)),
        ("row 2:4", "optimal", ("2:4", "rowwise", False)),
        (Pattern(2, 4, transposable=False), "optimal", ("2:4", "rowwise", False)),
        ("2:4", "rowwise", ("2:4", "rowwise", False)),
    ],
)
def test_pattern_of_masks(
    tmp_path: Path, pattern: Any, method: str, told: tuple[object, ...]
) -> None:
    path = tmp_path / "masks.safetensors"
    save_masks(path, {"w": np.eye(4, dtype=bool)}, pattern=pattern, method=method)
    with SafetensorsFile(path) as file:
        (record,) = file.records
    assert (record.pattern, record.method, record.transposable) == told


def test_masks_of_no_pattern(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pattern is '2-4', expected n:m"):
        save_masks(tmp_path / "m.safetensors", {"w": np.eye(4, dtype=bool)}, pattern="2-4")
    assert list(tmp_path.iterdir()) == []
