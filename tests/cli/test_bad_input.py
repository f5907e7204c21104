"""Bad input: one line that says what came and what was expected, status 2, disk untouched."""

from __future__ import annotations

import errno
import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.cli.conftest import Tnm, snapshot
from tnm_core.extras import how_to_install


def _entry(dtype: str = "F32", shape: Any = (8, 8), offsets: Any = (0, 256)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def _file(header: Any, data: bytes = b"\0" * 256, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


TWICE = b'{"w":%b,"w":%b}' % ((json.dumps(_entry()).encode(),) * 2)
MALICIOUS = {
    "empty file": b"",
    "three bytes": b"abc",
    "not safetensors": b"PK\x03\x04 this is something else entirely",
    "header longer than the file": _file({"w": _entry()}, length=10_000),
    "header of 2**63 bytes": _file({"w": _entry()}, length=2**63),
    "header of 2**64 - 1 bytes": _file({"w": _entry()}, length=2**64 - 1),
    "data truncated": _file({"w": _entry()}, b"\0" * 255),
    "data too long": _file({"w": _entry()}, b"\0" * 257),
    "overlap": _file({"w": _entry(), "v": _entry(offsets=(128, 384))}, b"\0" * 384),
    "gap": _file({"w": _entry(), "v": _entry(offsets=(260, 516))}, b"\0" * 516),
    "offsets reversed": _file({"w": _entry(offsets=(256, 0))}),
    "offset beyond the file": _file({"w": _entry(offsets=(2**40, 2**40 + 256))}),
    "negative offset": _file({"w": _entry(offsets=(-256, 0))}),
    "shape of 2**80 entries": _file({"w": _entry(shape=(2**40, 2**40))}),
    "shape that overflows to the size": _file({"w": _entry(shape=(2**32, 2**32, 8, 8))}),
    "negative shape": _file({"w": _entry(shape=(-8, -8))}),
    "shape does not fit the data": _file({"w": _entry(shape=(8, 9))}),
    "unknown dtype": _file({"w": _entry(dtype="F128")}),
    "name twice": _file(TWICE),
    "not JSON": _file(b"{nonsense"),
    "JSON list": _file(b"[]"),
    "not UTF-8": _file(b'{"\xff\xfe": 1}'),
    "deep nesting": _file(b'{"a":' * 5000 + b"1" + b"}" * 5000),
    "metadata not strings": _file({"__metadata__": {"a": 1}, "w": _entry()}),
    "entry without offsets": _file({"w": {"dtype": "F32", "shape": [8, 8]}}),
}


@pytest.mark.parametrize("command", ["prune", "check", "inspect"])
@pytest.mark.parametrize("content", MALICIOUS.values(), ids=MALICIOUS.keys())
def test_malicious_safetensors(tnm: Tnm, tmp_path: Path, command: str, content: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    before = snapshot(tmp_path)
    options = [] if command == "inspect" else ["-p", "2:4"]
    if command == "prune":
        options += ["-o", str(tmp_path / "out.safetensors")]
    tnm(command, path, *options).assert_refused("bad.safetensors")
    assert snapshot(tmp_path) == before


def test_every_truncation_of_a_good_file(tnm: Tnm, tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    save_file({"w": np.ones((8, 8), np.float32)}, good)
    content = good.read_bytes()
    path = tmp_path / "cut.safetensors"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        result = tnm("prune", path, "-o", tmp_path / "out.safetensors", "-p", "2:4")
        result.assert_refused("cut.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def _npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


BAD_NPY = {
    "empty": b"",
    "not npy": b"hello",
    "huge shape": _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 8)}"),
    "negative shape": _npy(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-4, -4)}", b"\0" * 64
    ),
    "truncated": _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4)}", b"\0" * 63),
    "trailing": _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4)}", b"\0" * 65),
    "code": _npy("__import__('os').system('true')"),
    "bad dtype": _npy("{'descr': 'zz', 'fortran_order': False, 'shape': (4, 4)}"),
    "missing key": _npy("{'descr': '<f4', 'shape': (4, 4)}"),
    "version 9": b"\x93NUMPY\x09\x00" + b"\0" * 32,
}


@pytest.mark.parametrize("content", BAD_NPY.values(), ids=BAD_NPY.keys())
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_bad_npy(tnm: Tnm, tmp_path: Path, kind: str, content: bytes) -> None:
    path = tmp_path / f"bad.{kind}"
    if kind == "npy":
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("w.npy", content)
    before = snapshot(tmp_path)
    tnm("prune", path, "-o", tmp_path / f"out.{kind}", "-p", "2:4").assert_refused(path.name)
    tnm("inspect", path).assert_refused(path.name)
    assert snapshot(tmp_path) == before


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _flip_data(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[300] ^= 255
    path.write_bytes(content)


def _duplicate(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("w.npy", b"again")


def _not_a_zip(path: Path) -> None:
    path.write_bytes(b"not a zip archive")


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (_truncate, "cannot be read"),
        (_flip_data, "CRC"),
        (_duplicate, "'w.npy' twice"),
        (_not_a_zip, "not a zip"),
    ],
)
def test_bad_npz(tnm: Tnm, tmp_path: Path, damage: Callable[[Path], None], word: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, w=np.random.default_rng(0).standard_normal((16, 16)))
    damage(path)
    before = snapshot(tmp_path)
    tnm("prune", path, "-o", tmp_path / "out.npz", "-p", "2:4").assert_refused("bad.npz", word)
    assert snapshot(tmp_path) == before


def test_python_objects_are_never_unpickled(tnm: Tnm, tmp_path: Path) -> None:
    path = tmp_path / "objects.npy"
    np.save(path, np.array([[_Trap()]], dtype=object), allow_pickle=True)
    tnm("prune", path, "-o", tmp_path / "out.npy", "-p", "2:4").assert_refused("no tensor")
    assert tnm("inspect", path).status == 0


class _Trap:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return pytest.fail, ("unpickled",)


def _index(folder: Path, weight_map: Any, **more: Any) -> Path:
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": weight_map, **more}))
    return path


@pytest.mark.parametrize(
    "shard",
    [
        "../secret.safetensors",
        "/etc/passwd.safetensors",
        "sub/secret.safetensors",
        "..\\secret.safetensors",
        "C:secret.safetensors",
        "secret.bin",
        "..",
        "",
        3,
        None,
    ],
)
def test_shard_names_stay_in_the_folder(tnm: Tnm, tmp_path: Path, shard: Any) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for place in (tmp_path, folder / "sub"):
        save_file({"w": np.ones((8, 8), np.float32)}, place / "secret.safetensors")
    before = snapshot(tmp_path)
    result = tnm("prune", _index(folder, {"w": shard}), "-o", tmp_path / "out", "-p", "2:4")
    result.assert_refused("without folders")
    (folder / "model.safetensors.index.json").unlink()
    assert snapshot(tmp_path) == before


def test_index_and_shards_must_agree(tnm: Tnm, tmp_path: Path) -> None:
    save_file({"w": np.ones((8, 8), np.float32)}, tmp_path / "one.safetensors")
    save_file({"w": np.ones((8, 8), np.float32)}, tmp_path / "two.safetensors")
    one, two = "one.safetensors", "two.safetensors"
    for weight_map, words in (
        ({"w": one, "x": one}, "does not hold it"),
        ({"x": one}, "no shard"),
        ({"w": one, "x": two}, "do not belong together"),
        ({"w": "three.safetensors"}, "not beside it"),
        ({}, "not the index"),
        ([], "not the index"),
    ):
        index = _index(tmp_path, weight_map)
        tnm("prune", index, "-o", tmp_path / "out", "-p", "2:4").assert_refused(words)
    index.write_text("[" * 100_000)
    tnm("inspect", index).assert_refused("not valid JSON")
    index.write_text("{}")
    tnm("inspect", index).assert_refused("not the index")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "pattern", ["4:2", "0:4", "2:129", "2", "2:4:8", "a:b", "-1:4", "2.0:4", "", "2:4x", "9" * 5000]
)
def test_patterns(tnm: Tnm, model: Path, tmp_path: Path, pattern: str) -> None:
    out = tmp_path / "out.safetensors"
    tnm("prune", model, "-o", out, f"--pattern={pattern}").assert_refused("expected n:m")
    assert not out.exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("masks", [[], ["--masks-only"]])
def test_values_that_are_not_finite(
    tnm: Tnm, model: Path, tmp_path: Path, value: float, masks: list[str]
) -> None:
    tensors = load_file(model)
    tensors["blocks.1.conv.weight"][9, 5, 2, 1] = value
    save_file(tensors, model)
    before = snapshot(tmp_path)
    result = tnm("prune", model, "-o", tmp_path / "out.safetensors", "-p", "2:4", *masks)
    result.assert_refused(f"blocks.1.conv.weight[9, 5, 2, 1] is {value}")
    assert snapshot(tmp_path) == before


def test_index_of_a_value_in_a_later_panel(
    tnm: Tnm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tnm_core.cli.pruning.matrix_axes._PANEL_ENTRIES", 1)
    weight = np.ones((40, 8))
    weight[29, 3] = np.nan
    np.save(tmp_path / "w.npy", weight)
    tnm("prune", tmp_path / "w.npy", "--dry-run", "-p", "2:4").assert_refused("w[29, 3] is nan")


@pytest.mark.parametrize("weight", [1e300, 1e-300])
def test_squares_beyond_float64(tnm: Tnm, tmp_path: Path, weight: float) -> None:
    np.save(tmp_path / "w.npy", np.full((8, 8), weight))
    before = snapshot(tmp_path)
    options = ("-o", tmp_path / "out.npy", "-p", "2:4", "--score", "square")
    tnm("prune", tmp_path / "w.npy", *options).assert_refused("w:", "squares", "--score abs")
    assert snapshot(tmp_path) == before


def test_squares_that_vanish_in_a_part_alone(
    tnm: Tnm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tnm_core.cli.pruning.matrix_axes._PANEL_ENTRIES", 1)
    weights = np.full((40, 8), 1.0)
    weights[:8] = 1e-300
    np.save(tmp_path / "w.npy", weights)
    result = tnm("prune", tmp_path / "w.npy", "--dry-run", "-p", "2:4", "--score", "square")
    assert (result.status, result.err) == (0, "")


def test_files_that_are_missing_or_of_another_kind(tnm: Tnm, tmp_path: Path) -> None:
    other = tmp_path / "model.bin"
    other.write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    out = tmp_path / "out.safetensors"
    for source, word in (
        (tmp_path / "none.safetensors", "does not exist"),
        (other, "ending"),
        (tmp_path / "folder", "0 candidates"),
    ):
        tnm("prune", source, "-o", out, "-p", "2:4").assert_refused(word, source.name)
        tnm("check", source, "-p", "2:4").assert_refused(word, source.name)
        tnm("inspect", source).assert_refused(word, source.name)


def test_unwritable_targets(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    for out, word in (
        (tmp_path / "no" / "such" / "folder.safetensors", "no such file"),
        (Path("/proc/tnm.safetensors"), "cannot write"),
        (tmp_path / "out.npz", "must be one too"),
        (tmp_path, "must be one too"),
    ):
        tnm("prune", model, "-o", out, "-p", "2:4", "--force").assert_refused(word, str(out))
    assert snapshot(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    result = tnm("prune", model, "-o", folder / "out.safetensors", "-p", "2:4")
    result.assert_refused("permission denied")


def test_a_folder_or_device_as_target(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder.safetensors"
    folder.mkdir()
    device = tmp_path / "null.safetensors"
    device.symlink_to("/dev/null")
    for out in (folder, device):
        result = tnm("prune", model, "-o", out, "-p", "2:4", "--force")
        result.assert_refused("not a regular file")
    assert folder.is_dir()
    assert device.is_symlink()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("call", ["write", "fsync", "link"])
def test_disk_errors_name_the_file(
    tnm: Tnm, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))  # as the system says it: without a name

    before = snapshot(tmp_path)
    out = tmp_path / "out.safetensors"
    for options in (("-o", out), ("-o", out, "--masks-only")):
        with monkeypatch.context() as patched:
            for one in (call, "replace") if call == "link" else (call,):
                patched.setattr(os, one, refuse)
            result = tnm("prune", model, *options, "-p", "2:4")
        reason = os.strerror(number)
        result.assert_refused(f"cannot write {out}: {reason[:1].lower()}{reason[1:]};")
        assert snapshot(tmp_path) == before


def test_a_name_that_is_too_long(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    out = tmp_path / ("x" * 300 + ".safetensors")
    tnm("prune", model, "-o", out, "-p", "2:4").assert_refused(str(out), "name too long")
    assert tnm("prune", model, "-o", tmp_path / ("é" * 110 + ".safetensors"), "-p", "2:4").out


def test_usage(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    for arguments, word in (
        (["prune", model, "-o", out], "--pattern"),
        (["prune", model, "-p", "2:4"], "-o OUT"),
        (["prune", model, "-o", out, "-p", "2:4", "--method", "best"], "best"),
        (["prune", model, "-o", out, "-p", "2:4", "--threads", "0"], "--threads"),
        (["prune", model, "-o", out, "-p", "2:4", "--colour"], "--colour"),
        (["prune"], "IN"),
        (["prune", model, "-o", out, "-p", "2:4", "--include", "nope*"], "matches no tensor"),
        (["prune", model, "-o", out, "-p", "2:4", "--include", "steps"], "dtype int64"),
        (["prune", model, "-o", out, "-p", "2:4", "--masks-only", "-o", "m.npz"], "m.npz"),
        (["frobnicate"], "frobnicate"),
        (["plot"], "ommand"),
    ):
        tnm(*arguments).assert_refused(word)
    assert not out.exists()


def test_a_report_never_replaces_weights(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    for report in (model, tmp_path / "model.safetensors.index.json"):
        result = tnm("prune", model, "--dry-run", "-p", "2:4", "--report", report, "--force")
        result.assert_refused("report.json")
    assert snapshot(tmp_path) == before


def test_masks_are_not_weights(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks.safetensors"
    tnm("prune", model, "-o", masks, "-p", "2:4", "--masks-only")
    result = tnm("prune", masks, "-o", tmp_path / "out.safetensors", "-p", "2:4")
    result.assert_refused("holds masks")


def test_names_cannot_command_the_terminal(tnm: Tnm, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    name = "\x1b[31mred[bold]\nline"
    save_file({name: np.full((8, 8), np.nan, np.float32)}, path)
    result = tnm("prune", path, "-o", tmp_path / "out.safetensors", "-p", "2:4")
    result.assert_refused("is nan")
    assert "\x1b" not in result.err
    shown = tnm("inspect", path)
    assert "\x1b" not in shown.out
    assert "[31mred[bold]" in shown.out


@pytest.mark.parametrize("missing", ["typer", "rich", "safetensors"])
def test_without_the_extra(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from tnm_core.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert missing in result.stderr
    assert how_to_install("cli") in result.stderr
