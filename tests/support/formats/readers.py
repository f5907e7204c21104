"""Readers of sparse formats, written from docs/formats.md: plain Python, bit by bit."""

from __future__ import annotations

import itertools
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

_DTYPES = {
    "F32": "<f4",
    "F16": "<f2",
    "BF16": ml_dtypes.bfloat16,
    "U8": "u1",
    "I8": "i1",
    "I64": "<i8",
}


def read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read tensors and metadata of a safetensors file."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, fields in header.items():
        first, last = fields["data_offsets"]
        data = np.frombuffer(content[start + first : start + last], _DTYPES[fields["dtype"]])
        tensors[name] = data.reshape(fields["shape"])
    return tensors, metadata


def read_bitmask_weight(tensors: dict[str, np.ndarray], module: str) -> np.ndarray:
    """Read a weight in the layout sparse-24-bitmask."""
    values, bits = tensors[f"{module}.compressed"], tensors[f"{module}.bitmask"]
    rows, columns = tensors[f"{module}.shape"].reshape(-1).tolist()
    dense = np.zeros((rows, columns), values.dtype)
    for row in range(rows):
        taken = iter(values[row])
        for column in range(columns):
            if int(bits[row, column // 8]) >> column % 8 & 1:
                dense[row, column] = next(taken)
        assert next(taken, None) is None
    return dense


def read_packed_weight(
    tensors: dict[str, np.ndarray], metadata: dict[str, str], name: str
) -> np.ndarray:
    """Read a packed matrix."""
    rows, columns = json.loads(metadata["tnm.packed_shapes"])[name]
    bits = int.from_bytes(tensors[f"{name}_bits"].tobytes(), "little")
    values = iter(tensors[f"{name}_values"])
    dense = np.zeros((rows, columns), tensors[f"{name}_values"].dtype)
    for place in range(rows * columns):
        if bits >> place & 1:
            dense[divmod(place, columns)] = next(values)
    return dense


def read_masks_of(path: Path) -> dict[str, np.ndarray]:
    """Read a file of masks, coded or not."""
    tensors, metadata = read_safetensors(path)
    codes = json.loads(metadata.get("tnm.mask_codes", "{}"))
    masks = {}
    for name, shape in json.loads(metadata["tnm.mask_shapes"]).items():
        data = tensors[name].tobytes()
        masks[name] = _coded(data, shape, codes[name]) if name in codes else _plain(data, shape)
    return masks


def _plain(data: bytes, shape: list[int]) -> np.ndarray:
    bits = int.from_bytes(data, "little")
    entries = math.prod(shape)
    assert len(data) == -(-entries // 8)
    assert bits >> entries == 0
    return np.array([bits >> k & 1 for k in range(entries)], dtype=bool).reshape(shape)


def _coded(data: bytes, shape: list[int], code: dict[str, Any]) -> np.ndarray:
    row_wise = code["pattern"].startswith("row ")
    n, m = map(int, code["pattern"].removeprefix("row ").split(":"))
    mask = np.zeros(shape, dtype=bool)
    view = mask.transpose(code["axes"])
    *stack, rows, columns = view.shape
    height = 1 if row_wise else m
    corners = [
        (*at, slice(top, top + height), slice(left, left + m))
        for at in np.ndindex(*stack)
        for top in range(0, rows // height * height, height)
        for left in range(0, columns // m * m, m)
    ]
    count = math.comb(m, n) if row_wise else count_tiles(m, (n,) * m, n)
    numbers = -(-len(corners) // code["units"])
    split = -(-numbers * code["bits"] // 8)
    text = int.from_bytes(data[:split], "little")
    ranks = []
    for _ in range(numbers):
        number = text & (1 << code["bits"]) - 1
        text >>= code["bits"]
        for _ in range(code["units"]):
            number, rank = divmod(number, count)
            ranks.append(rank)
        assert number == 0
    assert text == 0
    assert not any(ranks[len(corners) :])
    for corner, rank in zip(corners, ranks, strict=False):
        view[corner] = _group(rank, n, m) if row_wise else _tile(rank, n, m)
    edge = int.from_bytes(data[split:], "little")
    for at in np.ndindex(*stack):
        for row, column in itertools.product(range(rows), range(columns)):
            if row >= rows // height * height or column >= columns // m * m:
                view[(*at, row, column)] = edge & 1
                edge >>= 1
    assert edge == 0
    return mask


def _rows(m: int, n: int) -> list[tuple[int, ...]]:
    """All rows of m entries that keep n, in lexicographic order."""
    return [row for row in itertools.product((0, 1), repeat=m) if sum(row) == n]


@cache
def count_tiles(rows: int, missing: tuple[int, ...], n: int) -> int:
    """In how many ways rows that keep n each give columns what they miss; order is no matter."""
    if rows == 0:
        return int(not any(missing))
    if not all(0 <= one <= rows for one in missing):
        return 0
    return sum(
        count_tiles(rows - 1, tuple(sorted(a - b for a, b in zip(missing, row, strict=True))), n)
        for row in _rows(len(missing), n)
    )


def _tile(rank: int, n: int, m: int) -> np.ndarray:
    """Go through the rows: those before the one that is there are passed with all that follow."""
    missing, tile = [n] * m, []
    for left in reversed(range(m)):
        for row in _rows(m, n):
            rest = tuple(sorted(a - b for a, b in zip(missing, row, strict=True)))
            ways = count_tiles(left, rest, n)
            if rank < ways:
                break
            rank -= ways
        missing = [a - b for a, b in zip(missing, row, strict=True)]
        tile.append(row)
    return np.array(tile, dtype=bool)


def _group(rank: int, n: int, m: int) -> np.ndarray:
    """Go through the entries: those that may keep this one come after those that drop it."""
    group = []
    for left in reversed(range(m)):
        ways = math.comb(left, n)  # that drop it
        kept = rank >= ways
        rank -= ways * kept
        n -= kept
        group.append(kept)
    return np.array(group, dtype=bool)[None]
