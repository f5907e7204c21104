"""Commands of the page on many workers run as they are written, with threads as workers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.docs.documents import ROOT, SHELL, blocks, shell_lines, words_of
from tests.docs.small_clone import run_tnm
from tnm_core.cli import executors

PAGE = ROOT / "docs" / "scale.md"


def _write_model(folder: Path) -> None:
    folder.mkdir(parents=True)
    weights = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    save_file({"layers.0.up.weight": weights}, folder / "model-1-of-1.safetensors")
    index = {"metadata": {}, "weight_map": {"layers.0.up.weight": "model-1-of-1.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text("{}")


def test_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    @contextmanager
    def cluster(address: str, **_: Any) -> Iterator[Executor]:
        asked.append(address)
        with ThreadPoolExecutor(1) as pool:
            yield pool

    def pool(count: int) -> Executor:
        asked.append(count)
        return ThreadPoolExecutor(count)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(executors, "dask_executor", cluster)
    monkeypatch.setattr(executors, "process_pool", pool)
    _write_model(Path("models/dense"))
    run = 0
    for block in blocks(*SHELL, documents=[PAGE]):
        for line in shell_lines(block):
            run_tnm(words_of(line)[1:])
            run += 1
    assert run == 3
    assert asked == [2, "tcp://10.0.0.1:8786", 2]
    written = [load_file(path) for path in sorted(tmp_path.glob("models/*/*.safetensors"))]
    assert len(written) == 4
    kept = [int(np.count_nonzero(one["layers.0.up.weight"])) for one in written]
    assert sorted(kept) == [1024, 1024, 1024, 2048]


def test_tables_are_what_the_results_say() -> None:
    """Else run `python -m bench.scale --folder FOLDER --docs docs`, which keeps them."""
    from bench.output.kept import FOLDER, kept
    from bench.scale.pages import page_with

    docs = PAGE.parent
    if not (docs / FOLDER / "scale.json").exists():
        pytest.skip("the results of the run that the page shows were not kept")
    text = PAGE.read_text()
    assert page_with(text, kept(docs, "scale")) == text


def _run(cpu: float, first: float, *peaks: int) -> dict[str, Any]:
    return {"cpu": cpu, "cpu_of_first": first, "seconds": 2 * cpu, "peaks": list(peaks)}


def test_sentences_take_their_figures_from_the_run() -> None:
    """Those below the tables, too: nothing is left to write by hand after a run."""
    from bench.scale.pages import page_with

    runs = {
        "one process": _run(40, 40, 190),
        "two workers": _run(44, 1.5, 61, 160, 160),
        "two workers of Dask": _run(84, 20, 92, 200, 200),
        "start of two workers": _run(2, 1.1, 56, 55),
    }
    results: dict[str, Any] = {
        **{"bytes": 4e9, "pattern": "2:4", "date": "2026-01-02", "same": True, "runs": runs},
        **{"machine": {"cpu": "a processor", "cores": 2}, "processor_share": 1.0},
    }
    text = page_with(PAGE.read_text(), results)
    for told in (
        "(a processor, 2 cores: what counts are CPU seconds)",
        "A worker takes 10.4 CPU seconds per GB, the process that hands out tasks 0.100.",
        "Dask's own processes took 0.24 of a core",
        "needs 61 MiB, with a scheduler of Dask in it 92.",
        "From 10.0 GB/s on it would be busy itself",
    ):
        assert told in text
    del runs["two workers of Dask"]
    runs["start of two workers"]["cpu_of_first"] = 1.5
    text = page_with(text, results | {"processor_share": 0.5})
    assert "2 cores that others used as well" in text
    assert "needs 61 MiB.\n\n<!-- end of measured -->" in text
    assert text.endswith(PAGE.read_text().partition("<!-- end of measured -->")[2])


def test_figures_are_of_the_benchmark() -> None:
    """The plan for a terabyte follows from the costs that stand beside it."""
    from bench.scale.pages import plan

    text = PAGE.read_text().partition("<!-- measured -->")[2].partition("<!-- end of")[0]
    assert "the same in every byte of every tensor" in text
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.partition("| GB/s read")[2].splitlines()[2:]
        if line.startswith("|")
    ]
    told = re.search(r"takes ([\d.]+) CPU seconds per GB, .* tasks ([\d.]+\d)\.", text)
    assert told is not None
    expected_rows = plan(float(told[1]), float(told[2]))
    for found, expected in zip(rows, expected_rows, strict=True):
        assert found[0] == expected[0]
        assert float(found[1]) == pytest.approx(float(expected[1]), rel=0.05, abs=1)
        assert float(found[3]) == pytest.approx(float(expected[3]), rel=0.1)
