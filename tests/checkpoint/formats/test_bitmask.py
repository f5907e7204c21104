"""The layout sparse-24-bitmask: read back, and refused where it is damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import tnm_core as tnm
from tests.support.formats import read_bitmask_weight, read_safetensors
from tnm_core.checkpoint import (
    BitmaskFile,
    CheckpointError,
    fill_two_of_four,
    is_bitmask_file,
    open_checkpoint,
)

RNG = np.random.default_rng(24)
Tensors = dict[str, np.ndarray]


def _tensors(dtype: type = np.float32, columns: int = 12) -> tuple[Tensors, np.ndarray]:
    """A weight written by hand, entry by entry, and a bias."""
    weight = RNG.standard_normal((6, columns)).astype(dtype)
    mask = tnm.nm_mask(weight.astype(np.float32), "row 2:4")
    weight[~mask] = 0
    bits = np.zeros((6, -(-columns // 8)), np.uint8)
    for row, column in np.argwhere(mask):
        bits[row, column // 8] |= 1 << column % 8
    tensors = {
        "up.compressed": np.array([line[kept] for line, kept in zip(weight, mask, strict=True)]),
        "up.bitmask": bits,
        "up.shape": np.array([[6], [columns]]),
        "up.bias": np.arange(6, dtype=np.float32),
    }
    return tensors, weight


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.int8])
@pytest.mark.parametrize("columns", [4, 12, 16])
def test_weights_are_read(tmp_path: Path, dtype: type, columns: int) -> None:
    tensors, weight = _tensors(dtype, columns)
    path = tmp_path / "m.safetensors"
    save_file(tensors, path)
    with open_checkpoint(path) as checkpoint:
        assert is_bitmask_file(checkpoint)
        file = BitmaskFile(checkpoint)
        assert {name: info.shape for name, info in file.tensors.items()} == {
            "up.weight": (6, columns),
            "up.bias": (6,),
        }
        found = file.read("up.weight")
        assert file.mask("up.weight").sum() == 3 * columns
        np.testing.assert_array_equal(file.read("up.bias"), tensors["up.bias"])
        assert [(record.pattern, record.layers) for record in file.records] == [
            ("2:4", ("up.weight",))
        ]
    assert found.dtype == weight.dtype
    np.testing.assert_array_equal(found, weight)
    np.testing.assert_array_equal(read_bitmask_weight(read_safetensors(path)[0], "up"), weight)


def test_a_flat_shape_is_read(tmp_path: Path) -> None:
    tensors, weight = _tensors()
    tensors["up.shape"] = tensors["up.shape"].reshape(-1)
    save_file(tensors, tmp_path / "m.safetensors")
    with open_checkpoint(tmp_path / "m.safetensors") as checkpoint:
        np.testing.assert_array_equal(BitmaskFile(checkpoint).read("up.weight"), weight)


def _replaced(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensors], None]:
    def damage(tensors: Tensors) -> None:
        tensors[name] = np.ascontiguousarray(change(tensors[name].copy()))

    return damage


def _set(at: tuple[int, int], value: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[at] = value
        return array

    return change


def _added(name: str, array: np.ndarray) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.update({name: array})


DAMAGE = {
    "a row is missing": (_replaced("up.compressed", lambda a: a[1:]), "do not belong together"),
    "bits are missing": (_replaced("up.bitmask", lambda a: a[:, :1]), "do not belong together"),
    "bits of another dtype": (
        _replaced("up.bitmask", lambda a: a.astype(np.int64)),
        "bits int64",
    ),
    "a large shape": (_replaced("up.shape", _set((0, 0), 2**62)), "do not belong together"),
    "a negative shape": (_replaced("up.shape", _set((0, 0), -6)), "do not belong together"),
    "odd columns": (_replaced("up.shape", _set((1, 0), 13)), "do not belong together"),
    "a shape of three": (_replaced("up.shape", lambda a: np.arange(3)), "its shape is int64"),
    "a shape of floats": (_replaced("up.shape", lambda a: a * 1.0), "its shape is float64"),
    "bits beyond the end": (
        _replaced("up.bitmask", lambda a: a | np.array([0, 0x80], np.uint8)),
        "bits set beyond its 12 columns",
    ),
    "one of four": (_replaced("up.bitmask", _set((3, 1), 1)), r"keeps 1 .* from \[3, 8\] on"),
    "all of four": (_replaced("up.bitmask", _set((2, 0), 255)), r"keeps 4 .* from \[2, 0\] on"),
    "dense as well": (_added("up.weight", np.ones((6, 12))), "twice, dense and compressed"),
    "unstructured": (_added("up.row_offsets", np.arange(6)), "layout sparse-bitmask"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_an_error(tmp_path: Path, kind: str) -> None:
    damage, told = DAMAGE[kind]
    tensors, _ = _tensors()
    damage(tensors)
    save_file(tensors, tmp_path / "m.safetensors")
    with (
        open_checkpoint(tmp_path / "m.safetensors") as checkpoint,
        pytest.raises(CheckpointError, match=told) as caught,
    ):
        BitmaskFile(checkpoint).read("up.weight")
    assert "'up" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_of_four_are_filled_from_the_left() -> None:
    kept = np.array([[0, 0, 0, 0, 0, 0, 0, 1], [0, 1, 0, 0, 1, 0, 1, 0]], dtype=bool)
    filled = fill_two_of_four(kept)
    assert filled is not None
    assert filled.astype(int).tolist() == [[1, 1, 0, 0, 1, 0, 0, 1], [1, 1, 0, 0, 1, 0, 1, 0]]
    assert fill_two_of_four(np.array([[1, 1, 1, 0]], dtype=bool)) is None
