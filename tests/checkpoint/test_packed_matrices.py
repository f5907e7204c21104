"""Files of packed matrices: as documented, small, whole or not there, refused where damaged."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

import tests.support.strategies  # noqa: F401 - the profile of hypothesis
import tnm_core as tnm
from tnm_core.checkpoint import (
    CheckpointError,
    PackedFile,
    SafetensorsFile,
    is_packed_file,
    load_packed,
    read_masks,
    save_masks,
    save_packed,
)

DTYPES = [np.dtype(name) for name in (np.float32, np.float16, ml_dtypes.bfloat16)]


def _packed(
    shape: tuple[int, int], dtype: Any = np.float32, density: float = 0.5, seed: int = 0
) -> tnm.PackedMatrix:
    rng = np.random.default_rng(seed)
    return tnm.pack(rng.normal(size=shape).astype(dtype), rng.random(shape) < density)


def _assert_same(found: object, expected: tnm.PackedMatrix | NDArray[Any]) -> None:
    if isinstance(expected, tnm.PackedMatrix):
        assert isinstance(found, tnm.PackedMatrix)
        np.testing.assert_array_equal(found.mask, expected.mask)
        found, expected = found.toarray(), expected.toarray()
    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()


@given(
    sides=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=4),
    dtypes=st.lists(st.sampled_from(DTYPES), min_size=4, max_size=4),
    density=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
@pytest.mark.filterwarnings("ignore:the mask keeps")
def test_files_round_trip(
    sides: list[tuple[int, int]], dtypes: list[np.dtype[Any]], density: float, seed: int
) -> None:
    tensors: dict[str, tnm.PackedMatrix | NDArray[Any]] = {}
    for k, (shape, dtype) in enumerate(zip(sides, dtypes, strict=False)):
        tensors[f"{k}.weight"] = _packed(shape, dtype, density, seed + k)
        tensors[f"{k}.bias"] = np.arange(shape[0]).astype(dtypes[-1 - k])
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        save_packed(path, tensors)
        loaded = load_packed(path)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        _assert_same(loaded[name], tensor)


def test_dense_tensors_are_stored_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    tensors = {
        "flag": rng.random(3) > 0.5,
        "steps": np.array(7, np.int64),
        "none": np.zeros((0, 3), np.float16),
        "norm": rng.standard_normal(5).astype(ml_dtypes.bfloat16),
        "eight": rng.standard_normal((4, 4)).astype(ml_dtypes.float8_e5m2),
        "complex": np.array([1 + 2j], np.complex64),
        "strided": rng.standard_normal((6, 4))[::2].T,
        "w": _packed((8, 8)),
    }
    path = tmp_path / "model.safetensors"
    save_packed(path, {**tensors, "foreign": np.arange(3, dtype=">f8"), "list": [1.5, 2.5]})
    loaded = load_packed(path)
    for name, tensor in tensors.items():
        _assert_same(loaded[name], tensor)
    _assert_same(loaded["foreign"], np.arange(3, dtype=np.float64))
    _assert_same(loaded["list"], np.array([1.5, 2.5]))


def test_format_is_as_documented(tmp_path: Path) -> None:
    weights = np.float32([[0, 5, 0], [7, 0, 9]])
    path = tmp_path / "w.safetensors"
    save_packed(path, {"layer.weight": tnm.pack(weights), "layer.bias": np.float32([1, 2])})
    stored = load_file(path)
    assert {name: (str(array.dtype), array.tolist()) for name, array in stored.items()} == {
        "layer.weight_values": ("float32", [5, 7, 9]),
        "layer.weight_bits": ("uint8", [0b101010]),
        "layer.bias": ("float32", [1, 2]),
    }
    with SafetensorsFile(path) as file:
        assert is_packed_file(file)
        assert file.metadata == {
            "tnm.packed_format": "packed values 1",
            "tnm.packed_shapes": '{"layer.weight": [2, 3]}',
        }
        assert file.records == []


def test_a_file_can_be_read_tensor_by_tensor(tmp_path: Path) -> None:
    path, packed = tmp_path / "w.safetensors", _packed((6, 10), ml_dtypes.bfloat16)
    save_packed(path, {"w": packed, "b": np.arange(6)})
    with SafetensorsFile(path) as file:
        held = PackedFile(file)
        info = held.tensors["w"]
        assert (info.shape, info.dtype, info.array_dtype) == ((6, 10), "packed bfloat16", DTYPES[2])
        assert info.nbytes == 2 * packed.nnz + 8
        assert list(held.tensors) == ["w", "b"]
        _assert_same(held.read("w"), packed.toarray())
        _assert_same(held.load("w"), packed)
        _assert_same(held.read("b"), np.arange(6))


@pytest.mark.parametrize("pattern", ["2:4", "16:32"])
@pytest.mark.parametrize(("dtype", "most"), [(np.float32, 0.55), (ml_dtypes.bfloat16, 0.5626)])
def test_size_at_half_density(tmp_path: Path, pattern: str, dtype: Any, most: float) -> None:
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(2048, 2048)).astype(dtype)
    packed = tnm.pack(weights, tnm.transposable_mask(weights, pattern))
    assert packed.density == 0.5
    path = tmp_path / "w.safetensors"
    save_packed(path, {"weight": packed}, pattern=pattern)
    share = path.stat().st_size / weights.nbytes
    assert 0.5 < share <= most
    _assert_same(load_packed(path)["weight"], packed)


def test_tensors_are_aligned(tmp_path: Path) -> None:
    names = {f"{k}": _packed((3, 5), dtype, seed=k) for k, dtype in enumerate(DTYPES)}
    dense = {"u8": np.ones(3, np.uint8), "f8": np.ones(1), "f4": np.ones(3, np.float32)}
    path = tmp_path / "w.safetensors"
    save_packed(path, {**names, **dense})
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    widths = {"U8": 1, "BF16": 2, "F16": 2, "F32": 4, "F64": 8}
    del header["__metadata__"]
    assert len(header) == 9
    for fields in header.values():
        assert (start + fields["data_offsets"][0]) % widths[fields["dtype"]] == 0


def test_a_matrix_is_taken_apart_when_its_turn_comes(tmp_path: Path) -> None:
    packed = {f"{k}": _packed((256, 512), seed=k) for k in range(40)}
    dense_bytes = 256 * 512 * 4
    tracemalloc.start()
    try:
        save_packed(tmp_path / "w.safetensors", packed)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * dense_bytes


@pytest.mark.parametrize(
    ("extra", "error", "words"),
    [
        ({"w_bits": np.ones(2)}, ValueError, "two tensors would be stored as 'w_bits'"),
        ({"w_values": np.ones(2)}, ValueError, "two tensors would be stored as 'w_values'"),
        ({"__metadata__": np.ones(2)}, ValueError, "called '__metadata__'"),
        ({"v": np.array(["a"])}, TypeError, "'v' has dtype <U1, which safetensors lacks"),
        ({"v": np.zeros(2, "f4,i4")}, TypeError, "'v' has dtype .*, which safetensors lacks"),
        ({"v": np.ones(2, np.complex128)}, TypeError, "'v' has dtype complex128"),
        ({"v": None}, TypeError, "'v' is None"),
        ({"v": _packed((4, 4)).T}, TypeError, r"'v' is the transpose .* its \.T"),
    ],
)
def test_what_cannot_be_saved_leaves_the_file(
    tmp_path: Path, extra: dict[str, Any], error: type[Exception], words: str
) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"precious")
    with pytest.raises(error, match=words):
        save_packed(path, {"w": _packed((4, 4)), **extra})
    assert [(item, item.read_bytes()) for item in tmp_path.iterdir()] == [(path, b"precious")]


def test_a_failure_while_writing_leaves_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.safetensors"
    save_packed(path, {"w": _packed((4, 4))})
    before = path.read_bytes()

    def fail(packed: tnm.PackedMatrix) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tnm.PackedMatrix, "to_arrays", fail)
    with pytest.raises(ZeroDivisionError):
        save_packed(path, {"w": _packed((8, 8))})
    assert [(item, item.read_bytes()) for item in tmp_path.iterdir()] == [(path, before)]


def test_patterns_are_recorded(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    tensors = {"w": _packed((4, 4)), "b": np.ones(4)}
    save_packed(path, tensors, pattern="row 2:4", score="square")
    with SafetensorsFile(path) as file:
        (record,) = file.records
    assert (record.pattern, record.transposable, record.score) == ("2:4", False, "square")
    assert record.layers == ("w",)
    with pytest.raises(ValueError, match="pattern is '2-4', expected n:m"):
        save_packed(tmp_path / "v.safetensors", tensors, pattern="2-4")
    assert list(tmp_path.iterdir()) == [path]


VALUES = np.float32([5, 7, 9])
BITS = np.array([0b101010], np.uint8)


@pytest.mark.parametrize(
    ("tensors", "shapes", "words"),
    [
        ({}, {}, "'w' is damaged: .*expected .*'w_values' and 'w_bits', found none"),
        ({"w_bits": BITS}, {}, "'w' is damaged: .*, found 'w_bits'"),
        ({"w_values": VALUES}, {}, "'w' is damaged: .*, found 'w_values'"),
        ({"w": BITS, "w_values": VALUES, "w_bits": BITS}, {}, "'w' is damaged: .*found 'w', "),
        ({"w_values": VALUES[:2], "w_bits": BITS}, {}, r"'w' is damaged: values have shape \(2,\)"),
        ({"w_values": VALUES[None], "w_bits": BITS}, {}, "'w' is damaged: values have shape"),
        ({"w_values": VALUES.astype(int), "w_bits": BITS}, {}, "'w' is damaged: .*dtype int64"),
        ({"w_values": VALUES, "w_bits": BITS + 64}, {}, "'w' is damaged: bits beyond"),
        ({"w_values": VALUES, "w_bits": BITS[None]}, {}, "'w' is damaged: bits have shape"),
        ({"w_values": VALUES, "w_bits": BITS.astype(bool)}, {}, "'w' is damaged: bits have dtype"),
        ({"w_values": VALUES, "w_bits": BITS}, {"w": [4, 4]}, "'w' is damaged: bits have shape"),
        ({"w_values": VALUES, "w_bits": BITS}, {"w": [2**60, 2**60]}, "'w' is damaged: shape"),
        ({"w_values": VALUES, "w_bits": BITS}, {"w": [6]}, "expected shapes"),
        ({"w_values": VALUES, "w_bits": BITS}, {"w": [2, 3, 1]}, "expected shapes"),
        ({"w_values": VALUES, "w_bits": BITS}, {"w": [-2, -3]}, "expected shapes"),
        ({"w_values": VALUES, "w_bits": BITS}, {"w": [2.0, 3]}, "expected shapes"),
        ({"w_values": VALUES, "w_bits": BITS}, {"w": "23"}, "expected shapes"),
        ({"w_values": VALUES, "w_bits": BITS}, [2, 3], "expected shapes"),
    ],
)
def test_damaged_files(
    tmp_path: Path, tensors: dict[str, NDArray[Any]], shapes: Any, words: str
) -> None:
    path = tmp_path / "w.safetensors"
    metadata = {
        "tnm.packed_format": "packed values 1",
        "tnm.packed_shapes": json.dumps(shapes or {"w": [2, 3]}),
    }
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_packed(path)
    assert str(path) in str(caught.value)


def test_damaged_metadata_and_other_versions(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    tensors = {"w_values": VALUES, "w_bits": BITS}
    good = {"tnm.packed_format": "packed values 1", "tnm.packed_shapes": '{"w": [2, 3]}'}
    save_file(tensors, path, metadata=good)
    assert load_packed(path).keys() == {"w"}
    for metadata, words in (
        ({**good, "tnm.packed_format": "packed values 9"}, "'packed values 9'.*upgrade"),
        ({**good, "tnm.packed_shapes": "[" * 100_000}, "expected shapes"),
        ({"tnm.packed_format": "packed values 1"}, "expected shapes"),
    ):
        save_file(tensors, path, metadata=metadata)
        with pytest.raises(CheckpointError, match=words):
            load_packed(path)


@pytest.mark.parametrize("kept", [3, 60, -1])
def test_truncated_files(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "w.safetensors"
    save_packed(path, {"w": _packed((8, 8))})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"truncated|fetch it again"):
        load_packed(path)


def test_other_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_packed(path, {"w": _packed((4, 4))})
    with pytest.raises(CheckpointError, match="not masks"):
        read_masks(path)
    save_masks(path, {"w": np.eye(4, dtype=bool)})
    with pytest.raises(CheckpointError, match=r"no packed matrices; expected .* save_packed"):
        load_packed(path)
    save_file({"w": np.ones(2)}, path)
    with pytest.raises(CheckpointError, match=r"no packed matrices; expected .* save_packed"):
        load_packed(path)
    with pytest.raises(FileNotFoundError):
        load_packed(tmp_path / "none.safetensors")
