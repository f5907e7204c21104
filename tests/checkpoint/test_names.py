"""Names of tensors: all that a file can hold, and no file for the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tnm_core as tnm
from tnm_core.checkpoint import HeaderEntry, load_packed, read_masks, save_masks, save_packed
from tnm_core.checkpoint.safetensors_file import write_header

KEPT = np.eye(4, dtype=bool)
PACKED = tnm.pack(KEPT.astype(np.float32))
NAMES = [
    "",
    " ",
    "a/../b",
    "../../etc/passwd",
    "a\0b",
    "a\nb",
    "C:\\x",
    "é",
    "\u2028",
    ".",
    "x" * 1017,
]


def _write_masks(path: Path, name: Any) -> None:
    save_masks(path, {name: KEPT, "w": KEPT})


def _write_packed(path: Path, name: Any) -> None:
    save_packed(path, {name: PACKED})


def _write_dense(path: Path, name: Any) -> None:
    save_packed(path, {"w": PACKED, name: KEPT})


def _write_header(path: Path, name: Any) -> None:
    with path.open("r+b") as file:
        write_header(file, [HeaderEntry(name, "U8", (0,), 0)], {})


WRITERS: list[Callable[[Path, Any], None]] = [_write_masks, _write_packed, _write_dense]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_a_file_holds(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.safetensors"
    _write_masks(path, name)
    assert np.array_equal(read_masks(path)[name], KEPT)
    for write in (_write_packed, _write_dense):
        write(path, name)
        assert name in load_packed(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [*WRITERS, _write_header])
@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("__metadata__", ValueError, "metadata"),
        ("a\ud800", ValueError, "surrogate"),
        ("x" * 1025, ValueError, "more than 1024 characters"),
        (0, TypeError, "int"),
        (None, TypeError, "NoneType"),
        (b"w", TypeError, "bytes"),
        (("a", "b"), TypeError, "tuple"),
    ],
)
def test_names_that_no_file_holds(
    tmp_path: Path,
    write: Callable[[Path, Any], None],
    name: Any,
    error: type[Exception],
    told: str,
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"precious")
    with pytest.raises(error, match=told) as caught:
        write(path, name)
    assert "expected" in str(caught.value)
    assert path.read_bytes() == b"precious"


def test_names_that_come_twice(tmp_path: Path) -> None:
    entries = [HeaderEntry("w", "U8", (0,), 0)] * 2
    with (tmp_path / "x").open("wb") as file, pytest.raises(ValueError, match="'w', as another"):
        write_header(file, entries, {})


def test_metadata_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(ValueError, match="surrogate"):
        save_masks(path, {"w": KEPT}, pattern="1:4", method="\ud800")
    assert not path.exists()


def test_masked_masks(tmp_path: Path) -> None:
    masked = np.ma.masked_array(KEPT, mask=KEPT)
    with pytest.raises(ValueError, match="mask 'w' is a masked array"):
        save_masks(tmp_path / "x", {"w": masked})
    with pytest.raises(ValueError, match="'w' is a masked array"):
        save_packed(tmp_path / "x", {"w": masked})
    assert list(tmp_path.iterdir()) == []
