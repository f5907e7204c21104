"""Files of packed matrices as torch reads them."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import tnm_core as tnm
from tnm_core.checkpoint import load_packed, save_packed

DTYPES = {
    torch.float32: np.float32,
    torch.float16: np.float16,
    torch.bfloat16: ml_dtypes.bfloat16,
}


def _unpack(values: torch.Tensor, bits: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """The dense matrix, by nothing but torch."""
    flags = (bits[:, None] >> torch.arange(8, dtype=torch.uint8) & 1).reshape(-1)
    mask = flags[: shape[0] * shape[1]].reshape(shape).bool()
    return torch.zeros(shape, dtype=values.dtype).masked_scatter_(mask, values)


@pytest.mark.parametrize("dtype", list(DTYPES), ids=str)
def test_torch_reads_the_file(tmp_path: Path, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(13, 7)).astype(DTYPES[dtype])
    packed = tnm.pack(weights, rng.random(weights.shape) < 0.5)
    path = tmp_path / "w.safetensors"
    save_packed(path, {"weight": packed, "bias": weights[:, 0], "steps": np.array(3)})
    loaded = load_file(path)
    assert loaded.keys() == {"weight_values", "weight_bits", "bias", "steps"}
    assert loaded["steps"].item() == 3
    assert loaded["bias"].dtype == loaded["weight_values"].dtype == dtype
    dense = _unpack(loaded["weight_values"], loaded["weight_bits"], (13, 7))
    expected = torch.from_numpy(packed.toarray().astype(np.float32))
    torch.testing.assert_close(dense.float(), expected, rtol=0, atol=0)


def test_what_torch_wrote_loads_packed(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(9, 11)).astype(ml_dtypes.bfloat16)
    packed = tnm.pack(weights, rng.random(weights.shape) < 0.5)
    path = tmp_path / "w.safetensors"
    save_packed(path, {"weight": packed})
    metadata = {"tnm.packed_format": "packed values 1", "tnm.packed_shapes": '{"weight": [9, 11]}'}
    save_file(load_file(path), path, metadata=metadata)
    again = load_packed(path)["weight"]
    assert isinstance(again, tnm.PackedMatrix)
    np.testing.assert_array_equal(again.mask, packed.mask)
    np.testing.assert_array_equal(again.toarray(), packed.toarray())
