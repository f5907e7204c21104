"""Files of strangers: refused with one error, within bounds, in time that grows with their size."""

from __future__ import annotations

import json
import os
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.cli.conftest import Tnm, snapshot
from tnm_core.checkpoint import (
    CheckpointError,
    limits,
    open_checkpoint,
    read_index,
    read_masks,
    save_masks,
)
from tnm_core.checkpoint.limits import MAX_AXES, MAX_NAME_LENGTH, MAX_UNPACKED_BYTES
from tnm_core.checkpoint.parsing import read_json


def _header(header: str | bytes, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(text)) + text + data


def _entry(shape: str, nbytes: int = 0, dtype: str = "F32") -> str:
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{nbytes}]}}'


AXES = "[" + ",".join(["1"] * (MAX_AXES + 1)) + "]"
SAFETENSORS = {
    "more axes than NumPy has": _header(f'{{"w":{_entry(AXES, 4)}}}', b"\0" * 4),
    "empty, with sides beyond memory": _header(f'{{"w":{_entry(f"[0,{2**61},8]")}}}'),
    "sides that are bool": _header(f'{{"w":{_entry("[true,1]", 4)}}}', b"\0" * 4),
    "half of a surrogate pair": _header(f'{{"\\ud800":{_entry("[1]", 4)}}}', b"\0" * 4),
    "a name that is too long": _header(
        f'{{"{"n" * (MAX_NAME_LENGTH + 1)}":{_entry("[1]", 4)}}}', b"\0" * 4
    ),
    "bool that is neither": _header(f'{{"w":{_entry("[2]", 2, "BOOL")}}}', b"\1\2"),
    "not UTF-8 in a string": _header(b'{"\xff":' + _entry("[1]", 4).encode() + b"}", b"\0" * 4),
}


@pytest.mark.parametrize("content", SAFETENSORS.values(), ids=SAFETENSORS.keys())
def test_safetensors(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)

    def read() -> None:
        with open_checkpoint(path) as checkpoint:
            checkpoint.read("w")

    with pytest.raises(CheckpointError, match=r"w\.safetensors"):
        read()


class _Name(str):
    """A name that counts comparisons with others."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        _Name.compared += 1
        return str(self) == str(other)

    __hash__ = str.__hash__


def test_a_name_that_comes_twice_is_found_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 3000
    pairs = [(_Name(f"t{place}"), 0) for place in range(count)] + [(_Name(f"t{count - 1}"), 1)]

    def loads(text: str, object_pairs_hook: Callable[[Any], Any], **more: Any) -> Any:
        return object_pairs_hook(pairs)

    monkeypatch.setattr(json, "loads", loads)
    _Name.compared = 0
    with pytest.raises(CheckpointError, match="'t2999' twice"):
        read_json("{}", "header", "expected one")
    assert _Name.compared < 10 * count


def test_a_header_of_300_000_names(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    names = [*(f"t{place}" for place in range(300_000)), "t299999"]
    path.write_bytes(_header("{" + ",".join(f'"{name}":{_entry("[0]")}' for name in names) + "}"))
    with pytest.raises(CheckpointError, match="'t299999' twice"):
        open_checkpoint(path)


def test_more_tensors_than_any_model_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tnm_core.checkpoint.parsing.MAX_TENSORS", 30)
    path = tmp_path / "w.safetensors"
    for count in (30, 34):
        save_file({f"t{place}": np.zeros(1) for place in range(count)}, path)
        if count == 30:
            open_checkpoint(path).close()
    with pytest.raises(CheckpointError, match="more than 30 tensors"):
        open_checkpoint(path)


@pytest.mark.parametrize(
    "text",
    ['{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}', '{"a": 1, "a": 2}', '"\\udc00"', "[" * 10**5,
     "1" * 21, "\ufeff\ufeff{}", "{'a': 1}", ""],
)  # fmt: skip
def test_json_that_others_read_differently(text: str) -> None:
    with pytest.raises(CheckpointError, match=r"^it is not valid JSON .*; expected that$"):
        read_json(text, "it", "expected that")
    with pytest.raises(CheckpointError):
        read_json(text.encode(), "it", "expected that")


def test_json_that_is_valid() -> None:
    text = '\ufeff{"a": [1, -2.5, "\\ud83d\\ude00", null, true], "b": {"a": 18446744073709551615}}'
    assert read_json(text.encode(), "it", "") == {
        "a": [1, -2.5, "\U0001f600", None, True],
        "b": {"a": 2**64 - 1},
    }


@pytest.mark.parametrize("shape", ["[Infinity]", "[7.5]", "[true]", "[15, true]", "[3, 5.0]", "7"])
def test_shapes_of_masks(tnm: Tnm, tmp_path: Path, shape: str) -> None:
    path = tmp_path / "masks.safetensors"
    metadata = {"tnm.mask_format": "packed bits 1", "tnm.mask_shapes": f'{{"w": {shape}}}'}
    save_file({"w": np.array([255, 127], np.uint8)}, path, metadata=metadata)
    with pytest.raises(CheckpointError, match="damaged"):
        read_masks(path)
    tnm("check", path, "-p", "2:4").assert_refused("damaged")


def _npy(shape: str = "(4, 4)", descr: str = "'<f4'", more: str = "", data: bytes = b"") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}{more}}}\n".encode(
        "latin1"
    )
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + data


NPY = {
    "does not tokenise": _npy(more="'''"),
    "an L that Python 2 wrote, in a text that does not tokenise": _npy("(4L, 4"),
    "bool in the shape": _npy("(True, 4)", data=b"\0" * 16),
    "more axes than NumPy has": _npy(f"({'1, ' * (MAX_AXES + 1)})", data=b"\0" * 4),
    "empty, with sides beyond memory": _npy(f"(0, {2**61}, 8)"),
    "entries of no bytes": _npy("(1099511627776,)", "'|V0'"),
    "bool that is neither": _npy("(2,)", "'|b1'", data=b"\1\2"),
    "a header of 4 GiB": b"\x93NUMPY\x02\0" + b"\xff" * 4 + b" " * 100,
    "a dtype that overflows": _npy("()", "[('a', '<f4', (1000000, 1000000))]"),
}


@pytest.mark.parametrize("content", NPY.values(), ids=NPY.keys())
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_npy(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    if suffix == ".npz":
        path.unlink()
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("w.npy", content)

    def read() -> None:
        with open_checkpoint(path) as checkpoint:
            checkpoint.read("w")

    with pytest.raises(CheckpointError, match=rf"w\{suffix}"):
        read()


def _npz(path: Path, comment: bytes = b"", method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        member = zipfile.ZipInfo("w.npy")
        member.comment, member.compress_type = comment, method
        archive.writestr(member, _npy(data=b"\0" * 64))


@pytest.mark.parametrize("comment", [b"[]", b"[" * 5000, b"\xff", b"1", b'{"pattern": 3}', b"{}"])
def test_comments_of_members(tnm: Tnm, tmp_path: Path, comment: bytes) -> None:
    path = tmp_path / "w.npz"
    _npz(path, b"tnm " + comment)
    before = snapshot(tmp_path)
    tnm("inspect", path).assert_refused("its comment")
    tnm("prune", path, "-o", tmp_path / "out.npz", "-p", "2:4").assert_refused("its comment")
    assert snapshot(tmp_path) == before
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.read("w").shape == (4, 4)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_methods_that_unpack_without_bounds(tnm: Tnm, tmp_path: Path, method: int) -> None:
    path = tmp_path / "w.npz"
    _npz(path, method=method)
    tnm("inspect", path).assert_refused(f"method {method}", "savez_compressed")


def _patched(path: Path, mark: bytes, offset: int, value: bytes) -> None:
    content = bytearray(path.read_bytes())
    start = content.index(mark) + offset
    content[start : start + len(value)] = value
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("mark", "offset", "value", "words"),
    [
        (b"PK\1\2", 8, b"\1\0", "encrypted"),
        (b"PK\1\2", 24, b"\xf0\xff\xff\xff", "announces 4294967280 bytes"),
        (b"PK\1\2", 42, b"\xf0\xff\xff\xff", "damaged"),
        (b"PK\1\2", 10, b"\x63\0", "method 99"),
        (b"PK\1\2", 46, b"\xff", "w.npz"),
        (b"PK\5\6", 12, b"\xf0\xff\xff\x7f", "w.npz"),
        (b"PK\5\6", 16, b"\xf0\xff\xff\x7f", "w.npz"),
        (b"PK\3\4", 26, b"\xff\xff", "w.npz"),
    ],
)
def test_fields_of_archives(
    tnm: Tnm, tmp_path: Path, mark: bytes, offset: int, value: bytes, words: str
) -> None:
    path = tmp_path / "w.npz"
    _npz(path)
    _patched(path, mark, offset, value)
    tnm("inspect", path).assert_refused(words)


def test_an_archive_that_announces_what_it_has_not(tnm: Tnm, tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w") as archive:
        member = zipfile.ZipInfo("w.npy")
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, _npy(f"({MAX_UNPACKED_BYTES // 4},)", data=b"\0" * 64))
    header = len(_npy(f"({MAX_UNPACKED_BYTES // 4},)"))
    _patched(path, b"PK\1\2", 24, struct.pack("<I", MAX_UNPACKED_BYTES + header))
    tnm("inspect", path).assert_refused("unpacked, expected at most")
    side = MAX_UNPACKED_BYTES // 8
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, _npy(f"({side},)", data=b"\0" * 64))
    _patched(path, b"PK\1\2", 24, struct.pack("<I", 4 * side + len(_npy(f"({side},)"))))
    tracemalloc.start()
    try:
        tnm("inspect", path).assert_refused("w.npz")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MAX_UNPACKED_BYTES // 8


def test_a_damaged_member_can_be_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, w=np.random.default_rng(0).standard_normal((64, 64)))
    _patched(path, b"NUMPY", 20000, b"\0\1\2")
    with open_checkpoint(path) as checkpoint:
        for _ in range(2):
            with pytest.raises(CheckpointError, match="CRC"):
                checkpoint.read("w")


INDEX = '{"weight_map": {"w": "m.safetensors"}}'


def _sharded(folder: Path, index: str = INDEX) -> Path:
    save_file({"w": np.ones((8, 8), np.float32)}, folder / "m.safetensors")
    path = folder / "m.safetensors.index.json"
    path.write_text(index)
    return path


@pytest.mark.parametrize(
    "metadata",
    ['{"note": "\\ud800"}', '{"a": NaN}', '{"a": 1e400}', '{"a": 1, "a": 1}',
     '{"a": ' + "[" * 100 + "]" * 100 + "}", "[]"],
)  # fmt: skip
def test_metadata_of_an_index_that_could_not_be_written(
    tnm: Tnm, tmp_path: Path, metadata: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = _sharded(
        tmp_path, f'{{"weight_map": {{"w": "m.safetensors"}}, "metadata": {metadata}}}'
    )
    before = snapshot(tmp_path)
    monkeypatch.setattr("tnm_core.transposable_mask", pytest.fail)  # found before work
    result = tnm("prune", index, "-o", tmp_path / "out", "-p", "2:4")
    result.assert_refused("m.safetensors.index.json")
    assert snapshot(tmp_path) == before


def test_shards_that_are_links(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    index = _sharded(folder)
    shard = folder / "m.safetensors"
    shard.rename(elsewhere / "secret")
    shard.symlink_to(elsewhere / "secret")
    for path in (index, folder):
        with pytest.raises(CheckpointError, match="outside of its folder"):
            open_checkpoint(path)
    index.unlink()
    with pytest.raises(CheckpointError, match="outside of its folder"):
        open_checkpoint(folder)
    open_checkpoint(shard).close()  # which the user named
    (elsewhere / "secret").rename(folder / "real")
    shard.unlink()
    shard.symlink_to(shard.name)  # a circle
    index.write_text(INDEX)
    with pytest.raises(CheckpointError, match="not beside it"):
        open_checkpoint(index)
    index.unlink()
    shard.unlink()
    shard.symlink_to("real")
    open_checkpoint(folder).close()


def test_the_cache_of_hugging_face_is_made_of_links(tmp_path: Path) -> None:
    repository = tmp_path / "models--some--one"
    snapshot_folder, blobs = repository / "snapshots" / "abc", repository / "blobs"
    snapshot_folder.mkdir(parents=True)
    blobs.mkdir()
    index = _sharded(snapshot_folder)
    for path in (index, snapshot_folder / "m.safetensors"):
        path.rename(blobs / path.name)
        path.symlink_to(f"../../blobs/{path.name}")
    with open_checkpoint(snapshot_folder) as checkpoint:
        assert list(checkpoint.tensors) == ["w"]


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
@pytest.mark.parametrize(
    "name", ["w.safetensors", "w.npy", "w.npz", "w.safetensors.index.json", "report.json"]
)
def test_what_is_no_file(tnm: Tnm, tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    command = ["plot", "retained"] if name == "report.json" else ["inspect"]
    tnm(*command, path, *(["-o", tmp_path / "x.png"] if len(command) == 2 else [])).assert_refused(
        name
    )
    for read in (read_masks, read_index):
        with pytest.raises(CheckpointError, match="not a regular file"):
            read(path)


def test_a_file_whose_name_is_not_utf_8(tnm: Tnm, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.npy"))
    np.save(path, np.ones((4, 4)))
    masks = tmp_path / "masks.safetensors"
    assert tnm("prune", path, "-o", masks, "-p", "2:4", "--masks-only").status == 0
    assert read_masks(masks)["\ufffd"].sum() == 8
    assert tnm("inspect", path, "--json").status == 0


REPORT = {
    "command": "prune",
    "pattern": "2:4",
    "layers": [{"name": "a$^$b", "retained": {"optimal": 0.5, "rowwise": 0.6, "unstructured": 1}}],
    "total": {"retained": {"optimal": 0.5, "rowwise": 0.6, "unstructured": 1}},
}


def test_reports(tnm: Tnm, tmp_path: Path) -> None:
    path, picture = tmp_path / "report.json", tmp_path / "x.svg"
    path.write_text(json.dumps(REPORT))
    assert tnm("plot", "retained", path, "-o", picture).status == 0  # dollars begin no formula
    picture.unlink()
    layer = REPORT["layers"][0]
    for change in (
        {"total": None},
        {"total": {"retained": {"optimal": "0.5"}}},
        {"layers": [{**layer, "name": 3}]},
        {"layers": [{**layer, "retained": {"optimal": True}}]},
        {"layers": [{**layer, "retained": {"optimal": 0.5}}]},
        {"score": 7},
        {"command": "check"},
    ):
        path.write_text(json.dumps({**REPORT, **change}))
        tnm("plot", "retained", path, "-o", picture).assert_refused("report.json")
    path.write_text('{"command": "prune", "layers": [{"retained": {"optimal": NaN}}]}')
    tnm("plot", "retained", path, "-o", picture).assert_refused("NaN")
    assert not picture.exists()


def test_records_of_an_index_name_whole_text(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    metadata = {"tnm.pattern": "2:4", "tnm.method": "optimal", "tnm.score": "abs",
                "tnm.version": "1", "tnm.layers": '["\\ud800"]'}  # fmt: skip
    save_file({"w": np.ones((4, 4))}, path, metadata=metadata)
    with open_checkpoint(path) as checkpoint, pytest.raises(CheckpointError, match=r"tnm\.\* are"):
        assert checkpoint.records


def test_messages_stay_readable(tnm: Tnm, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(_header(f'{{"w":{_entry("[1]", 4, "F" * 10**6)}}}', b"\0" * 4))
    result = tnm("inspect", path)
    result.assert_refused("w.safetensors")
    assert len(result.err) < 5000
    save_file({"w": np.ones(4)}, path, metadata={"k" * 10**5: "v" * 10**5, "tnm.note": "x"})
    assert len(tnm("inspect", path).out) < 5000


def test_the_document_tells_the_limits() -> None:
    document = (Path(__file__).parents[2] / "docs" / "checkpoints.md").read_text()
    told = {
        limits.MAX_HEADER_BYTES: "| {:,} bytes |",
        limits.MAX_TENSORS: "| {:,} |",
        limits.MAX_NAME_LENGTH: "| {:,} characters |",
        limits.MAX_NPY_HEADER_BYTES: "| {:,} bytes |",
        limits.MAX_DIRECTORY_BYTES >> 20: "| {} MiB |",
        limits.MAX_UNPACKED_RATIO: "| {} times its size",
        limits.MAX_UNPACKED_BYTES >> 20: "or {} MiB if",
        limits.MAX_JSON_DEPTH: "| {} levels deep |",
    }
    assert [text for limit, text in told.items() if text.format(limit) not in document] == []


def test_names_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected another name"):
        save_masks(tmp_path / "masks.safetensors", {"\ud800": np.eye(3, dtype=bool)})
    assert list(tmp_path.iterdir()) == []


def test_a_member_that_is_called_like_the_metadata(tnm: Tnm, tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", __metadata__=np.ones((4, 4)))
    masks = tmp_path / "masks.safetensors"
    result = tnm("prune", tmp_path / "w.npz", "-o", masks, "-p", "2:4", "--masks-only")
    result.assert_refused("expected another name")
    assert not masks.exists()


def test_good_masks_pass(tmp_path: Path) -> None:
    path = tmp_path / "masks.safetensors"
    save_masks(path, {"w": np.zeros((0, 2**40), bool), "v": np.eye(3, dtype=bool)})
    assert read_masks(path)["w"].shape == (0, 2**40)


def test_tables_of_many_tensors_come_in_pieces(
    tnm: Tnm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["tnm_core.cli.commands.inspect"], "_ROWS", 4)
    save_file({f"t{place}": np.ones(2) for place in range(10)}, tmp_path / "w.safetensors")
    shown = tnm("inspect", tmp_path / "w.safetensors").out
    assert [shown.count(f"t{place} ") for place in range(10)] == [1] * 10
    assert shown.count("(continued)") == 2
    assert "10 tensors, 20 entries" in shown
