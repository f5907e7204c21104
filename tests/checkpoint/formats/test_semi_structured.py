"""torch's semi-structured tensors in state dicts: written without a GPU, and read back."""

from __future__ import annotations

import warnings
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch

import tnm_core as tnm
from tnm_core.checkpoint import (
    CheckpointError,
    TorchFile,
    semi_structured_of,
    torch_tensor_of,
)

RNG = np.random.default_rng(42)


@pytest.fixture(autouse=True)
def _no_warning_of_torch() -> None:
    """torch warns, once in a process, that this form may change."""
    warnings.filterwarnings("ignore", message=".*SparseSemiStructuredTensor.*")


def _weight(dtype: type = np.float16) -> np.ndarray:
    weight = RNG.standard_normal((64, 128)).astype(dtype)
    weight[~tnm.nm_mask(weight.astype(np.float32), "row 2:4")] = 0
    return weight


def _save(path: Path, weight: np.ndarray) -> torch.Tensor:
    tensor = semi_structured_of("up.weight", weight)
    torch.save({"up.weight": tensor, "up.bias": torch.arange(4.0)}, path)
    return tensor


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16], ids=lambda one: one.__name__)
def test_state_dicts_are_read_as_dense(tmp_path: Path, dtype: type) -> None:
    weight = _weight(dtype)
    tensor = _save(tmp_path / "m.pt", weight)
    assert isinstance(tensor, torch.sparse.SparseSemiStructuredTensorCUTLASS)
    assert torch.equal(tensor.to_dense(), torch_tensor_of(weight, "w"))
    with TorchFile(tmp_path / "m.pt") as file:
        assert file.semi_structured == ("up.weight",)
        assert "1 tensors are semi-structured" in file.notes[0]
        found = file.read("up.weight")
        np.testing.assert_array_equal(file.read("up.bias"), np.arange(4.0))
        assert file.records[0].layers == ("up.weight",)
    assert found.dtype == weight.dtype
    np.testing.assert_array_equal(found, weight)


def test_packed_values_and_metadata_are_as_cutlass_wants_them(tmp_path: Path) -> None:
    """Two values for every four; two bits for the place of each, in rows that CUTLASS reorders."""
    weight = _weight()
    tensor = _save(tmp_path / "m.pt", weight)
    rows = np.nonzero(weight.reshape(64, 32, 4))
    places = rows[2].reshape(64, 32, 2)
    quads = places[..., 0] | places[..., 1] << 2
    meta = np.zeros((64, 8), np.int64)
    for quad in range(4):
        meta |= quads.reshape(64, 8, 4)[:, :, quad] << 4 * quad
    found = tensor.meta.numpy().astype(np.int64) & 0xFFFF
    np.testing.assert_array_equal(np.sort(found, axis=None), np.sort(meta, axis=None))
    np.testing.assert_array_equal(tensor.packed.numpy(), weight[weight != 0].reshape(64, 64))


@pytest.mark.parametrize(
    ("part", "value", "told"),
    [
        ("meta", torch.zeros(64, 8, dtype=torch.int16), "share a place"),
        ("meta", torch.zeros(64, 7, dtype=torch.int16), "semi-structured and damaged"),
        ("meta", torch.zeros(64, 8, dtype=torch.int32), "semi-structured and damaged"),
        ("meta", None, "as made for training"),
        ("packed", torch.zeros(64, 64, dtype=torch.float64), "of another dtype than float16"),
        ("packed", torch.zeros(4, dtype=torch.float16), "semi-structured and damaged"),
        ("packed", 7, "as made for training"),
    ],
)
def test_damage_is_an_error(
    tmp_path: Path, part: str, value: torch.Tensor | int | None, told: str
) -> None:
    tensor = semi_structured_of("w", _weight())
    setattr(tensor, part, value)
    torch.save({"w": tensor}, tmp_path / "m.pt")
    with TorchFile(tmp_path / "m.pt") as file, pytest.raises(CheckpointError, match=told):
        file.read("w")


def test_what_only_a_gpu_can_read_is_refused(tmp_path: Path) -> None:
    kind = torch.sparse.SparseSemiStructuredTensorCUSPARSELT
    packed = torch.zeros(64 * 72, dtype=torch.float16)
    tensor = kind(
        torch.Size((64, 128)),
        packed=packed,
        meta=None,
        packed_t=None,
        meta_t=None,
        compressed_swizzled_bitmask=None,
    )
    torch.save({"w": tensor}, tmp_path / "m.pt")
    with TorchFile(tmp_path / "m.pt") as file, pytest.raises(CheckpointError, match="cuSPARSELt"):
        file.read("w")


def test_classes_of_others_stay_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(2), "other": Path("x")}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="holds Python objects"):
        TorchFile(tmp_path / "m.pt")
