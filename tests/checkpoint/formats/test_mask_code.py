"""Masks as ranks of tiles and groups: read back, by an independent reader as well."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import tnm_core as tnm
from tests.support.formats import count_tiles, read_masks_of
from tnm_core.checkpoint import CheckpointError, read_masks, save_masks
from tnm_core.checkpoint.formats import MaskCode, find_code
from tnm_core.checkpoint.formats.bit_strings import pack_numbers, unpack_numbers
from tnm_core.pattern import Pattern, as_pattern

RNG = np.random.default_rng(17)
# Bits for each entry of a mask of full units, and which units are ranked.
CODES = {
    "1:2": ("1:2", 0.25),
    "1:3": ("1:3", 44 / 17 / 9),
    "2:4": ("2:4", 13 / 32),
    "1:4": ("1:4", 23 / 5 / 16),
    "3:7": ("3:7", None),
    "4:8": ("4:8", 37 / 64),
    "8:16": ("row 8:16", 41 / 48),
    "16:32": ("row 16:32", 59 / 64),
    "row 2:4": ("row 2:4", 44 / 17 / 4),
    "row 1:4": ("row 1:4", 0.5),
    "row 4:8": ("row 4:8", 43 / 56),
    "row 3:12": ("row 3:12", None),
    "row 5:20": ("row 5:20", None),
}


def _mask(pattern: str, shape: tuple[int, ...]) -> np.ndarray:
    wanted = as_pattern(pattern)
    weights = RNG.standard_normal(shape)
    find = tnm.transposable_mask if wanted.transposable else tnm.nm_mask
    return find(weights, wanted)


@pytest.mark.parametrize("bits", [1, 2, 5, 7, 8, 9, 13, 16, 31, 32, 33, 37, 55, 57, 63, 64])
def test_numbers_of_any_width(bits: int) -> None:
    for count in (0, 1, 7, 8, 9, 100):
        numbers = RNG.integers(0, 2**bits - 1, count, dtype=np.uint64, endpoint=True)
        numbers[:1] = 2**bits - 1
        packed = pack_numbers(numbers, bits)
        naive = sum(int(number) << bits * place for place, number in enumerate(numbers))
        assert packed.tobytes() == naive.to_bytes(-(-count * bits // 8), "little")
        assert unpack_numbers(packed, bits, count).tolist() == numbers.tolist()
        if count * bits % 8:
            packed[-1] |= 0x80
            with pytest.raises(ValueError, match="bits are set behind"):
                unpack_numbers(packed, bits, count)


@pytest.mark.parametrize("pattern", CODES)
def test_an_independent_reader_finds_the_same(tmp_path: Path, pattern: str) -> None:
    m = as_pattern(pattern).m
    masks = {"whole": _mask(pattern, (2 * m, 3 * m)), "edges": _mask(pattern, (m + 1, 2 * m + 3))}
    path = tmp_path / "masks.safetensors"
    save_masks(path, masks, pattern=pattern, compact=True)
    for found in (read_masks(path), read_masks_of(path)):
        assert found.keys() == masks.keys()
        for name, mask in masks.items():
            np.testing.assert_array_equal(found[name], mask)


@pytest.mark.parametrize("pattern", CODES)
def test_sizes(pattern: str) -> None:
    ranked, expected = CODES[pattern]
    m = as_pattern(pattern).m
    shape = (17 * 5 * 12 * m, 7 * m)
    code = MaskCode.of(as_pattern(pattern), (0, 1))
    assert code is not None
    assert str(code.pattern) == ranked
    bits = 8 * code.nbytes(shape) / (shape[0] * shape[1])
    if expected is not None:
        assert bits == pytest.approx(expected, abs=1e-3)
    if code.pattern.transposable:  # within two hundredths of the entropy
        masks = count_tiles(m, (code.pattern.n,) * m, code.pattern.n)
        assert bits <= 1.02 * np.log2(masks) / m**2


def test_every_tile_has_its_rank(tmp_path: Path) -> None:
    tiles = [*tnm.enumerate_masks("2:4")]
    path = tmp_path / "masks.safetensors"
    save_masks(path, {"all": np.hstack(tiles)}, pattern="2:4", compact=True)
    data = int.from_bytes(load_file(path)["all"].tobytes(), "little")
    pairs = [data >> 13 * k & 0x1FFF for k in range(45)]
    assert [divmod(pair, 90)[::-1] for pair in pairs] == [(k, k + 1) for k in range(0, 90, 2)]


@pytest.mark.parametrize("shape", [(8, 8, 3, 3), (4, 8, 4), (2, 4, 8), (5, 9, 1, 3), (3, 4, 5, 6)])
@pytest.mark.parametrize("axes", ["first", "last"])
def test_axes_are_found(tmp_path: Path, shape: tuple[int, ...], axes: str) -> None:
    mask = np.zeros(shape, dtype=bool)
    view = np.moveaxis(mask, (0, 1), (-2, -1)) if axes == "first" else mask
    for at in np.ndindex(*view.shape[:-2]):
        view[at] = _mask("2:4", view.shape[-2:])
    path = tmp_path / "masks.safetensors"
    save_masks(path, {"w": mask}, pattern="2:4", compact=True)
    np.testing.assert_array_equal(read_masks(path)["w"], mask)
    np.testing.assert_array_equal(read_masks_of(path)["w"], mask)


def test_rows_that_are_columns_are_found() -> None:
    mask = _mask("row 2:4", (12, 20))
    code = find_code(np.ascontiguousarray(mask.T), as_pattern("row 2:4"))
    assert code is not None
    assert code.axes == (1, 0)


def test_what_has_no_ranks_is_written_as_bits(tmp_path: Path) -> None:
    masks = {
        "obeys": _mask("2:4", (8, 8)),
        "none": np.eye(8, dtype=bool),
        "line": np.ones(5, dtype=bool),
        "empty": np.ones((0, 8), dtype=bool),
    }
    path = tmp_path / "masks.safetensors"
    save_masks(path, masks, pattern="2:4", compact=True)
    with safe_open(path, framework="numpy") as file:
        codes = json.loads(file.metadata()["tnm.mask_codes"])
    assert set(codes) == {"obeys", "empty"}
    for found in (read_masks(path), read_masks_of(path)):
        assert all((found[name] == mask).all() for name, mask in masks.items())
    for pattern in ("64:128", "2:2", "row 20:40"):
        save_masks(path, {"w": _mask(pattern, (128, 128))}, pattern=pattern, compact=True)
        assert load_file(path)["w"].size == 2048


def test_compact_wants_a_pattern(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected the pattern"):
        save_masks(tmp_path / "m.safetensors", {"w": np.eye(4, dtype=bool)}, compact=True)
    assert not [*tmp_path.iterdir()]


def _rewritten(path: Path, **changes: object) -> Path:
    """Save with changes to data (a function) or to the code of the mask."""
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    data = changes.pop("data", None)
    if callable(data):
        tensors["w"] = data(tensors["w"].copy())
    codes = json.loads(metadata["tnm.mask_codes"])
    codes["w"].update(changes)
    metadata["tnm.mask_codes"] = json.dumps(codes)
    save_file(tensors, path, metadata=metadata)
    return path


def _with_bit(place: int):  # type: ignore[no-untyped-def]
    def change(data: np.ndarray) -> np.ndarray:
        data[place // 8] |= 1 << place % 8
        return data

    return change


def _filled(data: np.ndarray) -> np.ndarray:
    data[:3] = 255
    return data


DAMAGE = [
    ({"data": lambda data: data[:-1]}, "shapes and sizes disagree"),
    ({"data": _filled}, "too large for 2 ranks below 90"),
    ({"data": _with_bit(39)}, "bits are set behind the last of 3 numbers"),
    ({"data": _with_bit(70)}, "bits are set behind the 30 entries"),
    ({"units": 3}, "do not fit into 13 bits"),
    ({"bits": 65}, "do not fit into 65 bits"),
    ({"bits": 0}, "do not fit into 0 bits"),
    ({"bits": 14}, "shapes and sizes disagree"),
    ({"bits": True}, "expected whole numbers"),
    ({"units": -1}, "do not fit"),
    ({"pattern": "64:128"}, "have no ranks in this version"),
    ({"pattern": "4:4"}, "have no ranks"),
    ({"pattern": "2:x"}, "pattern is '2:x'"),
    ({"pattern": 7}, "expected a pattern as text"),
    ({"axes": [0, 0]}, "expected those of a mask of 2 axes"),
    ({"axes": [0, 1, 2]}, "expected those of a mask of 2 axes"),
    ({"further": 1}, "expected an object of pattern, axes, units, bits"),
]


@pytest.mark.parametrize(("change", "told"), DAMAGE, ids=[told for _, told in DAMAGE])
def test_damage_is_an_error(tmp_path: Path, change: dict[str, object], told: str) -> None:
    path = tmp_path / "masks.safetensors"
    # 5 tiles, so that half a number is unused, in 39 of 40 bits, and 30 entries at
    # the edge, in 30 of 32.
    mask = _mask("2:4", (5, 22))
    save_masks(path, {"w": mask}, pattern="2:4", compact=True)
    with pytest.raises(CheckpointError, match="damaged") as caught:
        read_masks(_rewritten(path, **change))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ranks_behind_the_last_tile_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "masks.safetensors"
    save_masks(path, {"w": _mask("2:4", (4, 4))}, pattern="2:4", compact=True)

    def with_second(data: np.ndarray) -> np.ndarray:
        number = int.from_bytes(data.tobytes(), "little") + 90
        return np.frombuffer(number.to_bytes(2, "little"), np.uint8).copy()

    with pytest.raises(CheckpointError, match="more than the 1 ranks"):
        read_masks(_rewritten(path, data=with_second))


def test_codes_of_masks_that_are_not_there_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "masks.safetensors"
    save_masks(path, {"w": _mask("2:4", (4, 4))}, pattern="2:4", compact=True)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    metadata["tnm.mask_codes"] = metadata["tnm.mask_codes"].replace('"w"', '"v"')
    save_file(load_file(path), path, metadata=metadata)
    with pytest.raises(CheckpointError, match="an entry for each mask that is coded"):
        read_masks(path)


def test_what_a_byte_stands_for_is_bounded() -> None:
    for n, m in itertools.combinations(range(1, 33), 2):
        for transposable in (True, False):
            if transposable and m > 8:
                continue
            code = MaskCode.of(Pattern(n, m, transposable=transposable), (0, 1))
            assert code is not None
            side = code.units * 8 * m
            assert side * side <= 64 * code.nbytes((side, side))
