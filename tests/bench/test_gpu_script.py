"""bench/gpu.py: its dry run exercises what runs on a GPU; without one it measures nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import gpu
from tests.support import cusparselt as standins
from tnm_core.torch.linear.backends import BACKENDS
from tnm_core.torch.linear.backends.emulate import EmulateBackend

SECTIONS = ["correctness", "mask search", "MLP", "products"]


def test_without_a_gpu_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main(["-o", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert "no CUDA device was found; expected an NVIDIA GPU" in captured.err
    assert "Nothing was measured" in captured.err
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


def test_an_old_gpu_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (7, 5))
    monkeypatch.setattr(torch.backends.cusparselt, "is_available", lambda: True)
    assert gpu.main(["-o", str(tmp_path / "out")]) == 2
    assert "capability 7.5, expected 8.0 or above" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_dry_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--cpu-check", "-o", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "gpu.json").read_text())
    assert results["machine"]["device"] == "cpu"
    assert results["machine"]["dry_run"] is True
    sections = results["sections"]
    assert list(sections) == SECTIONS
    assert len(sections["correctness"]) == 8
    assert {record["backend"] for record in sections["correctness"]} == {"emulate"}
    assert all(record["identical"] for record in sections["mask search"])
    block = sections["MLP"][0]
    assert block["sparse"]["graph_problem"] == "no CUDA device"
    assert block["speedup"] == block["dense"]["eager"] / block["sparse"]["eager"]
    assert len(sections["products"]) == 4
    for record in sections["products"]:
        assert record["speedup"] == record["dense_seconds"] / record["sparse_seconds"]
        assert [part["part"] for part in record["parts"]][2] == "weight gradient"
    table = (tmp_path / "gpu.md").read_text()
    assert "these figures say nothing about any GPU" in table
    assert all(f"## {name}" in table for name in SECTIONS)
    assert capsys.readouterr().out.count("32 x 32, 8 tokens") == 2
    if "gpu.png" in table:
        assert (tmp_path / "gpu.png").stat().st_size > 1000


def test_wrong_products_and_gradients_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class OneOff(EmulateBackend):
        def product(self, *operands: Any) -> Any:
            result = super().product(*operands)
            result[0, 0] *= 1.03
            return result

    monkeypatch.setitem(BACKENDS, "emulate", OneOff())
    words = ["--cpu-check", "-o", str(tmp_path), "--only", "correctness"]
    assert gpu.main(words) == 1
    wrong = [json.loads(line.split("WRONG: ")[1]) for line in capsys.readouterr().err.splitlines()]
    assert {name for record in wrong for name in record["wrong"]} == {"forward", "input gradient"}


def test_time_is_kept() -> None:
    """What is begun is finished; what is not begun in time is left out, and that is said."""
    from bench.gpu_checks import SECTIONS as RUNS
    from bench.gpu_checks import settings

    late = settings.for_gpu(torch.device("cpu"), budget=-1.0)
    said: list[str] = []
    for name in ("mask search", "MLP", "products"):
        assert RUNS[name](late, said.append) == []
    assert said == ["out of time"] * 3


def test_the_sections_with_the_hardware_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the CPU can run of it: operands, packing and refreshes through the stand-in."""
    from bench.gpu_checks import SECTIONS as RUNS
    from bench.gpu_checks import report, settings

    standin = standins.install(monkeypatch)
    small = dataclasses.replace(settings.for_cpu_check(), backend="cusparselt")
    checked = RUNS["correctness"](small, lambda text: None)
    assert [record["wrong"] for record in checked] == [[]] * 8
    assert {record["backend"] for record in checked} == {"cusparselt"}
    assert RUNS["MLP"](small, lambda text: None)[0]["sparse"]["eager"] > 0
    measured = RUNS["products"](small, lambda text: None)
    assert {record["backend"] for record in measured} == {"cusparselt"}
    assert {record["dtype"] for record in measured} == {"bfloat16"}
    assert all(record["algorithms"] for record in measured)
    facts = {"dry_run": True}
    table = report.render({"machine": facts, "sections": {"products": measured}})
    assert all(f" {'/'.join(map(str, one))}" in table for one in measured[0]["algorithms"])
    assert all(transposed for _, _, transposed in standin.products)
