"""tnm prune within --memory: bands of tiles give what the whole gives, and little is held."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from tests.cli.conftest import Tnm, keeps_exactly
from tnm_core.checkpoint import cut_boxes, open_checkpoint, read_masks
from tnm_core.cli.pruning.unstructured import unstructured_score

PEAK = """
import resource, sys
from tnm_core.cli.run import run
status = run(sys.argv[1:])
# Of this process alone: what the parent took at the fork does not count.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(status, int(peak.split()[1]) // 1024)
"""


def _sparse_file(path: Path, rows: int, columns: int, dtype: str, values: NDArray[Any]) -> None:
    """Write a matrix of zeros, but for some rows, that takes no place on disk."""
    size = rows * columns * values.itemsize
    header = {"layer.weight": {"dtype": dtype, "shape": [rows, columns], "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.write(values.tobytes())
        file.truncate(8 + len(text) + size)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the peak")
@pytest.mark.parametrize(
    ("rows", "limit", "options"),
    [(4096, 128, []), (2048, 96, ["--masks-only"])],
    ids=["weights", "masks"],
)
def test_peak_of_a_large_tensor(tmp_path: Path, rows: int, limit: int, options: list[str]) -> None:
    source, out = tmp_path / "large.safetensors", tmp_path / "out.safetensors"
    some = np.random.default_rng(0).standard_normal((64, 8192))
    _sparse_file(source, rows, 8192, "F64", some)  # 256 and 128 MiB
    arguments = ["-o", out, "-p", "2:4", "--memory", f"{limit}M", "--threads", "1", *options]
    command = [sys.executable, "-c", PEAK, "prune", source, *arguments]
    ran = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    status, peak = map(int, ran.stdout.splitlines()[-1].split())
    assert status == 0, ran.stderr
    assert peak <= limit
    if options:
        pruned = read_masks(out)["layer.weight"][:64]
    else:
        with open_checkpoint(out) as checkpoint:
            pruned = checkpoint.read_block("layer.weight", (slice(0, 64), slice(0, 8192))) != 0
    assert keeps_exactly(pruned, 2, 4)


def _files(folder: Path) -> dict[str, Path]:
    """The same weights in several formats and memory orders, and of several types."""
    rng = np.random.default_rng(3)
    weight = rng.standard_normal((45, 30)).astype(np.float32)
    kernel = rng.standard_normal((20, 9, 3, 2))
    stack = rng.standard_normal((5, 17, 26)).astype(ml_dtypes.bfloat16)
    save_file({"a": weight, "k": kernel, "s": stack}, folder / "w.safetensors")
    np.savez_compressed(folder / "w.npz", a=weight, k=np.asfortranarray(kernel))
    np.save(folder / "f.npy", np.asfortranarray(weight))
    np.save(folder / "big.npy", weight.astype(">f4"))
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz", "f.npy", "big.npy"])
@pytest.mark.parametrize("pattern", ["2:8", "row 2:8"])
def test_blocks_give_what_the_whole_gives(
    tnm: Tnm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pattern: str
) -> None:
    source = _files(tmp_path)[name]
    given = ["-p", pattern, "--three-d", "stacked", "--include", "*", "--json"]
    results: list[list[Any]] = []
    for entries in (1 << 22, 300, 16):
        monkeypatch.setattr("tnm_core.cli.pruning.matrix_axes._PANEL_ENTRIES", entries)
        out = tmp_path / f"{entries}{source.suffix}"
        masks = tmp_path / f"{entries}.masks.safetensors"
        told = [
            tnm("prune", source, "-o", out, *given),
            tnm("prune", source, "-o", masks, "--masks-only", *given),
        ]
        assert [one.status for one in told] == [0, 0], told
        retained = [json.loads(one.out)["total"]["retained"] for one in told]
        with open_checkpoint(out) as checkpoint:
            arrays = [checkpoint.read(tensor) for tensor in checkpoint.tensors]
        results.append([arrays, [*read_masks(masks).values()], retained])
    for arrays, masks_read, retained in results:
        for array, mask, first in zip(arrays, masks_read, results[0][0], strict=True):
            np.testing.assert_array_equal(array, first)
            np.testing.assert_array_equal(mask, array != 0)
        for one in retained:
            assert one == pytest.approx(results[0][2][0], rel=1e-12)


def test_a_pickled_state_dict_in_blocks(
    tnm: Tnm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    weight = torch.randn(16, 24, generator=torch.Generator().manual_seed(0))
    torch.save({"a.weight": weight, "b.weight": weight.T}, tmp_path / "w.pt")
    monkeypatch.setattr("tnm_core.cli.pruning.matrix_axes._PANEL_ENTRIES", 64)
    assert (
        tnm("prune", tmp_path / "w.pt", "-o", tmp_path / "o.safetensors", "-p", "2:4").status == 0
    )
    pruned = load_file(tmp_path / "o.safetensors")
    for name, dense in (("a.weight", weight), ("b.weight", weight.T)):
        assert keeps_exactly(pruned[name] != 0, 2, 4)
        assert ((pruned[name] == 0) | (pruned[name] == dense.numpy())).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("kind", ["normal", "ties", "zeros", "tiny"])
@pytest.mark.parametrize("score", ["abs", "square"])
def test_unstructured_score_is_exact(dtype: str, kind: str, score: Any) -> None:
    rng = np.random.default_rng(5)
    values = rng.standard_normal(5000)
    values = {
        "normal": values,
        "ties": np.round(values),
        "zeros": values * 0.0,
        "tiny": values * 1e-38,
    }[kind].astype(np.dtype(dtype) if dtype != "bfloat16" else ml_dtypes.bfloat16)
    wide = np.abs(values.astype(np.float64))
    largest = np.sort(wide**2 if score == "square" else wide)[::-1]
    for kept in (1, 7, 2500, 4999, 5000):
        for most in (1, 100, 10000):
            found = unstructured_score(lambda: np.array_split(values, 7), 5000, kept, score, most)
            assert found == pytest.approx(largest[:kept].sum(), rel=1e-6)


@pytest.mark.parametrize("fortran", [False, True])
def test_boxes_cover_a_tensor_in_the_order_of_memory(fortran: bool) -> None:
    rng = np.random.default_rng(6)
    for _ in range(200):
        shape = tuple(map(int, rng.integers(0, 9, rng.integers(0, 5))))
        units = tuple(map(int, rng.integers(1, 4, len(shape))))
        most = int(rng.integers(1, 200))
        array = np.arange(np.prod(shape, dtype=int)).reshape(shape, order="F" if fortran else "C")
        boxes = [*cut_boxes(shape, units, most, fortran=fortran)]
        parts = [array[box].ravel(order="F" if fortran else "C") for box in boxes]
        np.testing.assert_array_equal(np.concatenate(parts), np.arange(array.size))
        for box in boxes:
            starts = [one.start for one in box]
            assert all(start % unit == 0 for start, unit in zip(starts, units, strict=True))


@pytest.mark.parametrize("text", ["1", "lots", "-1G", "1 G G", "", "1e9", "512X"])
def test_sizes_that_are_none(tnm: Tnm, model: Path, text: str) -> None:
    options = ("--dry-run", "-p", "2:4", f"--memory={text}")
    tnm("prune", model, *options).assert_refused("--memory is", "expected")


@pytest.mark.parametrize("text", ["128M", "0.5g", "2GiB", "134217728", "1 tb"])
def test_sizes(tnm: Tnm, model: Path, text: str) -> None:
    assert tnm("prune", model, "--dry-run", "-p", "2:4", "--memory", text).status == 0


def test_a_row_of_tiles_that_does_not_fit(tnm: Tnm, tmp_path: Path) -> None:
    source = tmp_path / "wide.safetensors"
    _sparse_file(source, 128, 1 << 20, "F32", np.zeros((1, 1), np.float32))
    result = tnm("prune", source, "--dry-run", "-p", "64:128", "--memory", "256M")
    result.assert_refused("layer.weight", "--memory is 256 MiB; expected at least 1")
