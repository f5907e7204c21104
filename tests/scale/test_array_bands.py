"""Masks of arrays in bands are those of the whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

import tnm_core as tnm
from tnm_core.scale import array_bands, mask_in_bands


@pytest.fixture(autouse=True)
def _small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_bands, "_BAND_ENTRIES", 256)


def _whole(array: NDArray[Any], pattern: str) -> NDArray[np.bool_]:
    row_wise = pattern.startswith("row")
    return tnm.nm_mask(array, pattern) if row_wise else tnm.transposable_mask(array, pattern)


@pytest.mark.parametrize("pattern", ["2:4", "3:5", "row 2:4"])
@pytest.mark.parametrize("dtype", [np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("shape", [(65, 38), (2, 3, 30, 22), (0, 8), (3, 500)])
def test_bands_make_the_whole(shape: tuple[int, ...], dtype: Any, pattern: str) -> None:
    array = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    expected = _whole(array, pattern)
    out = np.empty(shape, dtype=np.bool_)
    with ThreadPoolExecutor(2) as pool:
        assert mask_in_bands(array, pattern, executor=pool, out=out) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(mask_in_bands(array, pattern), expected)
    np.testing.assert_array_equal(mask_in_bands(array[..., ::-1], pattern),
                                  _whole(array[..., ::-1], pattern))  # fmt: skip


def test_workers_read_files_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(1).standard_normal((3, 40, 24))
    np.save(tmp_path / "weights.npy", array)
    mapped = np.load(tmp_path / "weights.npy", mmap_mode="r")
    bands: list[object] = []
    find = array_bands._find
    monkeypatch.setattr(array_bands, "_find", lambda task: bands.append(task.band) or find(task))
    for part in (slice(None), slice(1, None)):
        np.testing.assert_array_equal(
            mask_in_bands(mapped[part], "2:4"), _whole(array[part], "2:4")
        )
    assert {type(band) for band in bands} == {array_bands._FileBand}


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_changes_in_memory_are_not_missed(tmp_path: Path, mode: Any) -> None:
    np.save(tmp_path / "weights.npy", np.ones((16, 16)))
    mapped = np.load(tmp_path / "weights.npy", mmap_mode=mode)
    mapped[...] = np.random.default_rng(2).standard_normal((16, 16))
    np.testing.assert_array_equal(mask_in_bands(mapped, "2:4"), _whole(np.array(mapped), "2:4"))
    flipped = np.load(tmp_path / "weights.npy", mmap_mode="r")[:, ::-1]
    np.testing.assert_array_equal(mask_in_bands(flipped, "2:4"), _whole(np.array(flipped), "2:4"))


def test_an_error_names_the_place_in_the_whole() -> None:
    array = np.ones((2, 64, 16))
    array[1, 50, 3] = np.nan
    with pytest.raises(ValueError, match=r"array\[1, 50, 3\] is nan"):
        mask_in_bands(array, "2:4")


@pytest.mark.parametrize(
    ("options", "said"),
    [({"method": "best"}, "method"), ({"score": "cube"}, "score"), ({"threads": 0}, "threads")],
)
def test_bad_arguments(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        mask_in_bands(np.ones((8, 8)), "2:4", **options)
