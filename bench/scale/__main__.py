"""What it costs to prune a large checkpoint: one process, two workers, Dask, a bare copy.

    python -m bench.scale --folder /tmp/scale --gigabytes 8

A checkpoint of bfloat16 in the layout of Hugging Face is generated in the folder, pruned and copied
there; the folder needs five times its size, and holds nothing of it afterwards. The outputs of one
process and of two workers are compared byte by byte. Figures go to a JSON file, and with --docs
into docs/scale.md and docs/results/scale.json.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from bench import machine
from bench.context import note
from bench.output.kept import keep
from bench.scale.big_checkpoint import write_checkpoint, write_tiny_file
from bench.scale.pages import page_with, tables
from bench.scale.process_tree import run_measured
from tnm_core.cli.packages import is_installed

_COPY = """
import os, shutil, sys
from pathlib import Path
source, target = map(Path, sys.argv[1:])
target.mkdir()
for path in sorted(source.iterdir()):
    with path.open("rb") as read, (target / path.name).open("wb") as write:
        shutil.copyfileobj(read, write, 1 << 22)
        write.flush()
        os.fsync(write.fileno())
"""
# Scheduler and client in the first process, two workers with a thread each in further ones.
_DASK = """
import sys
from distributed import LocalCluster
from tnm_core.cli.run import run
if __name__ == "__main__":
    options = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": None}
    with LocalCluster(n_workers=2, **options) as cluster:
        address = cluster.scheduler_address
        status = run([*sys.argv[1:], "--executor", "dask", "--address", address])
    sys.exit(status)
"""
_PRUNE = [sys.executable, "-m", "tnm_core", "prune"]
_PIECE = 1 << 24


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--folder", type=Path, required=True, help="a new one, for the files")
    parser.add_argument("--gigabytes", type=float, default=8.0)
    parser.add_argument("--pattern", default="2:4")
    parser.add_argument("--out", type=Path, default=Path("build/scale/results.json"))
    parser.add_argument(
        "--docs",
        type=Path,
        help="folder whose scale.md to bring up to date, and to keep the results in",
    )
    return parser.parse_args()


def main() -> None:
    given = options()
    given.folder.mkdir(parents=True)
    try:
        results = measure(given.folder, given.gigabytes, given.pattern)
    finally:
        shutil.rmtree(given.folder)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(results, indent=1) + "\n")
    print(tables(results))
    if given.docs is not None:
        page = given.docs / "scale.md"
        page.write_text(page_with(page.read_text(), results))
        keep(results, given.docs, "scale")


def measure(folder: Path, gigabytes: float, pattern: str) -> dict[str, Any]:
    """Measure all ways to work on one checkpoint."""
    dense = folder / "dense"
    note(f"generating {gigabytes:g} GB in {dense}")
    write_checkpoint(dense, gigabytes)
    size = sum(path.stat().st_size for path in dense.iterdir())
    prune = [*_PRUNE, str(dense), "--pattern", pattern, "-o"]
    tiny = folder / "tiny.safetensors"
    write_tiny_file(tiny)
    script = folder / "dask_run.py"
    script.write_text(_DASK)
    two = ["--executor", "processes", "--workers", "2"]
    start = [*_PRUNE, str(tiny), "--pattern", pattern, "-o", str(folder / "t.safetensors"), *two]
    commands = {
        "a bare copy": [sys.executable, "-c", _COPY, str(dense), str(folder / "copy")],
        "one process": [*prune, str(folder / "one"), "--threads", "1"],
        "two workers": [*prune, str(folder / "two"), *two],
    }
    if is_installed("distributed"):
        dask = [sys.executable, str(script), *prune[3:], str(folder / "dask")]
        commands["two workers of Dask"] = dask
    commands["start of two workers"] = start
    runs = {}
    share = machine.processor_share()
    for name, command in commands.items():
        note(name)
        use = run_measured(command, {"OMP_NUM_THREADS": "1"})
        runs[name] = vars(use)
        note(f"  {use.cpu:.0f} CPU s, {use.seconds:.0f} s, peaks of {use.peaks} MiB")
        shutil.rmtree(folder / "copy", ignore_errors=True)
    note("comparing")
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine.describe(),
        "processor_share": share,
        "bytes": size,
        "pattern": pattern,
        "same": all(
            same_tensors(folder / "one", folder / other)
            for other in ("two", "dask")
            if other == "two" or (folder / other).exists()
        ),
        "runs": runs,
    }


def same_tensors(one: Path, other: Path) -> bool:
    """Compare shards byte by byte, but for their headers, which tell the run that wrote them."""
    names = [sorted(path.name for path in folder.glob("*.safetensors")) for folder in (one, other)]
    if names[0] != names[1] or not names[0]:
        return False
    return all(_same_data(one / name, other / name) for name in names[0])


def _same_data(one: Path, other: Path) -> bool:
    with one.open("rb") as first, other.open("rb") as second:
        for file in (first, second):
            file.seek(int.from_bytes(file.read(8), "little"), 1)
        while True:
            pieces = first.read(_PIECE), second.read(_PIECE)
            if pieces[0] != pieces[1]:
                return False
            if not pieces[0]:
                return True


if __name__ == "__main__":
    main()
