"""tnm calibrate --report report.html."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.cli.calibration.user_file import write_user_file
from tests.cli.conftest import Tnm, snapshot
from tests.cli.report_page.pages import Page, without_times

MORE = """

class Named(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleDict({"<script>": nn.Linear(16, 16)})
        self.last = nn.Linear(16, 3)

    def forward(self, x):
        return self.last(self.layers["<script>"](x))

def named():
    return Named()

def convolution():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(8, 16, 3, groups=2))

def images():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(4, 8, 6, 6, generator=generator)]
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    known, threads = set(sys.modules), torch.get_num_threads()
    torch.set_num_threads(1)
    path = write_user_file(tmp_path)
    path.write_text(path.read_text() + MORE)
    yield path
    torch.set_num_threads(threads)
    for name in set(sys.modules) - known:
        if "user_code" in name:
            del sys.modules[name]


def _calibrated(tnm: Tnm, code: Path, model: str, data: str, *options: object) -> tuple[str, dict]:
    page, told = code.with_name("report.html"), code.with_name("told.json")
    out = code.with_name("out.safetensors")
    reports = ("--report", page, "--report", told, "--force")
    arguments = (f"{code}:{model}", f"{code}:{data}", "-o", out, *reports, *options)
    result = tnm("calibrate", *arguments)
    assert result.status == 0, result.err
    return page.read_text(), json.loads(told.read_text())


def test_what_the_page_tells(tnm: Tnm, code: Path) -> None:
    written, told = _calibrated(tnm, code, "model", "batches", "-p", "2:4")
    page = Page(written)
    for layer in told["layers"]:
        assert f"{layer['retained']:.4f}" in page.text
        assert f"{layer['error']:.4f}" in page.text
    widths = [float((one["style"] or "")[6:-1]) for one in page.named("span", "fill")]
    figures = [100 * one[key] for one in told["layers"] for key in ("retained", "error")]
    assert widths == pytest.approx(figures, abs=0.006)
    assert "1: out_features 3 < m = 4 few_features" in page.text
    assert "entries kept in pruned layers1,024512" in page.text
    assert "pruned layers, dense4.10 kB4.10 kB" in page.text
    assert "pruned layers, packed2.18 kB" in page.text
    after = load_file(code.with_name("out.safetensors"))
    others = sum(one.nbytes for one in after.values()) - 4096
    assert f"other tensors{others} bytes{others} bytes" in page.text
    assert f"tnm calibrate {code}:model {code}:batches -o" in page.text
    assert torch.__version__ in page.text
    assert "tnm bench linear --shape 32x16 --shape 16x32 --pattern 2:4" in page.text
    kept = sum((one["d"] or "").count("M") for one in page.named("path", "kept"))
    assert kept == sum(int(np.count_nonzero(after[name])) for name in ("0.weight", "2.weight"))
    assert page.named("path", "dot") == []


def test_same_run_same_bytes(tnm: Tnm, code: Path) -> None:
    runs = [_calibrated(tnm, code, "model", "batches", "-p", "2:4")[0] for _ in range(2)]
    assert without_times(runs[0]) == without_times(runs[1])


def test_patterns_by_layer_and_markup_in_names(tnm: Tnm, code: Path) -> None:
    patterns = code.with_name("patterns.json")
    patterns.write_text(json.dumps({"last": "dense", "*": "row 1:4"}))
    page = Page(_calibrated(tnm, code, "named", "batches", "-p", patterns)[0])
    assert "layers.<script>" in page.text
    assert page.named("script") == []
    assert "row 1:4" in page.text
    assert "1: no pattern given for it no_pattern" in page.text
    assert "at most 4.00 times as fast" in page.text


def test_recipes_without_errors_and_notes(tnm: Tnm, code: Path) -> None:
    written, told = _calibrated(tnm, code, "model", "batches", "-p", "2:4", "--recipe", "magnitude")
    assert told["layers"][0]["error"] is None
    assert len(Page(written).named("span", "fill")) == len(told["layers"])
    page = Page(_calibrated(tnm, code, "model", "batches", "-p", "2:4", "--permute")[0])
    assert re.search(r"Notes2 dimensions reordered: optimal masks keep 0\.\d{4}", page.text)


def test_convolution_in_groups(tnm: Tnm, code: Path) -> None:
    page = Page(_calibrated(tnm, code, "convolution", "images", "-p", "2:4")[0])
    (drawing,) = page.named("svg")
    assert "all 8 x 4 entries shown" in (drawing["aria-label"] or "")
    after = load_file(code.with_name("out.safetensors"))["0.weight"]
    kept = sum((one["d"] or "").count("M") for one in page.named("path", "kept"))
    assert kept == np.count_nonzero(after[:8, :, 0, 0]) == 16
    assert "No pruned layer is a matrix" in page.text


def test_other_endings_are_refused(tnm: Tnm, code: Path, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    arguments = (f"{code}:model", f"{code}:batches", "-o", tmp_path / "out.safetensors")
    result = tnm("calibrate", *arguments, "-p", "2:4", "--report", tmp_path / "report.pdf")
    result.assert_refused("report.pdf", "report.json or report.html")
    assert snapshot(tmp_path) == before
