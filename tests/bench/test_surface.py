"""The surface: every case is what its name says, and the worst come first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.context import Context
from bench.output import surface_plot
from bench.sections import surface
from bench.surface import weights as forms
from bench.surface.case import Case, on
from bench.surface.cases import all_cases, mask

SIDE = 64


@pytest.mark.parametrize("m", [4, 16])
def test_every_case_runs(m: int) -> None:
    for case in all_cases():
        call, entries = case.make(m // 2, m, SIDE)
        call()
        assert entries > 0, case.name


def test_names_of_cases_are_their_own() -> None:
    names = [(case.group, case.name) for case in all_cases()]
    assert len(set(names)) == len(names)


def test_forms_of_weights() -> None:
    assert forms.fortran()(2, 4, SIDE).flags.f_contiguous
    assert forms.every_second_column(2, 4, SIDE).strides == (4 * SIDE, 8)
    assert forms.backwards(2, 4, SIDE).strides == (-4 * SIDE, -4)
    assert forms.convolution(3)(2, 4, SIDE).shape[:2] == (3, 3)
    assert forms.shaped("rest", "m", "m")(8, 16, SIDE).shape == (4, 16, 16)
    zeros = np.mean(forms.smallest_zero(0.9)(2, 4, SIDE) == 0)
    assert abs(zeros - 0.9) < 0.01


def test_ratios_and_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = on(lambda given, n, m: [mask(given, n, m) for _ in range(4)], forms.square)
    cases = [
        Case("speed", "the same", on(mask, forms.square)),
        Case("speed", "four times the work", twice, of_m=(4, 8)),
    ]
    monkeypatch.setattr(surface, "all_cases", lambda: cases)
    monkeypatch.setattr(Context, "side", 512)
    records = surface.SECTION.run(Context(tmp_path, quick=True))
    assert [(r["case"], r["m"]) for r in records if r["case"] != "the same"] == [
        ("four times the work", 4),
        ("four times the work", 8),
    ]
    for record in records:
        assert record["ratio"] == pytest.approx(record["best_rate"] / record["headline"])
    assert surface.worst_first(records)[0] == ("speed", "four times the work")
    lines = surface.SECTION.table(records).splitlines()
    assert lines[0].startswith("| case | varies | m = 4 | m = 8 | m = 16")
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["four times the work", "the same"]
    assert list(surface_plot.draw({"surface": records}, tmp_path)) == ["surface.png"]
    assert (tmp_path / "surface.png").stat().st_size > 0
