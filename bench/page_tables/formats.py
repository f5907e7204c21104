"""What formats take: the size of files, and how fast masks are written as ranks and read back.

    python -m bench.page_tables.formats --docs docs

Takes half a minute of an idle machine, and needs the extras cli and torch.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from safetensors.numpy import save_file

import tnm_core as tnm
from bench.context import note
from bench.measure import time_call
from bench.output.figures import ROOT
from bench.output.kept_tables import FORMATS, codes_table, sizes_table
from bench.page_tables.keeping import docs_option, finish
from tnm_core.checkpoint import read_masks, save_masks
from tnm_core.cli.run import run
from tnm_core.pattern import as_pattern

FILE_SHAPE, MASK_SHAPE = (2048, 1024), (2048, 4096)
FORMS = ("dense", "packed", "bitmask", "semi-structured", "masks", "mask-bits")
FLOAT16_ALONE = ("semi-structured",)
DTYPES = ("float16", "float32")
PATTERNS = ("2:4", "1:4", "2:8", "4:8", "8:16", "16:32", "row 2:4", "row 4:8")
_NAME = "layer.weight"


def file_sizes(folder: Path, shape: tuple[int, int]) -> list[dict[str, Any]]:
    """Write one pruned matrix in all formats, by the commands; bytes per weight."""
    weights = np.random.default_rng(0).normal(size=shape)
    found = []
    for dtype in DTYPES:
        dense, pruned = folder / f"{dtype}.safetensors", folder / f"{dtype}-2-4.safetensors"
        save_file({_NAME: weights.astype(dtype)}, dense)
        _tnm("prune", dense, "--pattern", "2:4", "-o", pruned)
        for form in FORMS:
            if dtype != "float16" and form in FLOAT16_ALONE:
                continue
            ending = "pt" if form == "semi-structured" else "safetensors"
            path = folder / f"{dtype}-{form}.{ending}"
            _tnm("convert", pruned, "--to", form, "-o", path)
            size = path.stat().st_size / weights.size
            found.append({"format": form, "dtype": dtype, "bytes per weight": size})
    return found


def _tnm(*words: str | Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = run([str(word) for word in words])
    if status != 0:
        raise RuntimeError(
            f"tnm {' '.join(map(str, words))} ended with {status}:\n{out.getvalue()}"
        )


def codes(folder: Path, shape: tuple[int, int], seconds: float) -> list[dict[str, Any]]:
    """Write a mask of each pattern as ranks, and read it: how many bits, how fast."""
    weights = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return [_code(folder / "masks.safetensors", weights, one, seconds) for one in PATTERNS]


def _code(path: Path, weights: Any, pattern: str, seconds: float) -> dict[str, Any]:
    find = tnm.nm_mask if pattern.startswith("row") else tnm.transposable_mask
    mask = find(weights, pattern)

    def write() -> None:
        save_masks(path, {"mask": mask}, pattern=pattern, compact=True)

    def read() -> None:
        read_masks(path)

    written = time_call(write, seconds).record(mask.size)["rate"]
    if not np.array_equal(read_masks(path)["mask"], mask):
        raise RuntimeError(f"the mask of {pattern} was read back as another one")
    bits = 8 * path.stat().st_size / mask.size
    rates = {"written": written, "read": time_call(read, seconds).record(mask.size)["rate"]}
    note(f"{pattern}: {bits:.4f} bits per entry, million entries per second {rates}")
    return {"pattern": pattern, "bits": bits, "entropy": entropy(pattern), **rates}


def entropy(pattern: str) -> float:
    """Bits per entry that tell masks of a pattern apart, if all are alike."""
    parsed = as_pattern(pattern)
    n, m = parsed.pair
    if not parsed.transposable:
        return math.log2(math.comb(m, n)) / m
    with (ROOT / "docs" / "diversity-counts.csv").open(newline="") as file:
        (count,) = (int(row[2]) for row in csv.reader(file) if row[:2] == [str(n), str(m)])
    return math.log2(count) / m**2


def main() -> None:
    """Measure both tables; files lie in memory, if the system has a place for that."""
    given = docs_option("python -m bench.page_tables.formats", __doc__).parse_args()
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        results = {
            "sizes": file_sizes(Path(folder), FILE_SHAPE),
            "codes": codes(Path(folder), MASK_SHAPE, seconds=0.5),
        }
    print(sizes_table(results).markdown(), codes_table(results).markdown(), sep="\n")
    finish(results, FORMATS, given.docs)


if __name__ == "__main__":
    main()
