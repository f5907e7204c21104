"""The surface: every case is what its name says, and what misses its target most comes first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import machine
from bench.context import Context
from bench.distributions import cast, draw
from bench.output import surface_plot
from bench.sections import surface
from bench.surface import weights as forms
from bench.surface.bounds import Missed, bound_of
from bench.surface.calls import mask, with_out
from bench.surface.case import Case, Job, on
from bench.surface.cases import all_cases
from bench.surface.reasons import reasons
from bench.surface.stage_profile import STAGES
from bench.surface.target import Target, as_the_optimum, half_of_a_copy, million, no_target
from tests.support.arrays import DTYPES

SIDE = 64


@pytest.mark.parametrize("column", [4, 16, 64])
def test_every_case_runs(column: int) -> None:
    for case in all_cases():
        if column in case.columns:
            m = case.m(column)
            assert 1 <= case.n(m) <= m, case.name
            job = case.make(case.n(m), m, SIDE)
            job.call()
            assert job.entries > 0, case.name
            assert isinstance(case.goal(m), Target)


def test_names_of_cases_are_their_own() -> None:
    names = [(case.group, case.name) for case in all_cases()]
    assert len(set(names)) == len(names)


def test_rows_that_were_asked_for_are_there() -> None:
    names = " ".join(f"{case.group}: {case.name};" for case in all_cases())
    for dtype in set(DTYPES) - {"float32"}:
        assert f"dtype: {dtype};" in names
    asked = (
        "m = 66", "m = 96", "m = 128", "8192", "n = m - 1", "99 % zeros", "square of int8",
        "identity of int16", "8 groups", "two threads", "compress", "save_masks",
    )  # fmt: skip
    assert [part for part in asked if part not in names] == []


def test_forms_of_weights() -> None:
    assert forms.fortran()(2, 4, SIDE).flags.f_contiguous
    assert forms.every_second_column()(2, 4, SIDE).strides == (4 * SIDE, 8)
    assert forms.every_second_row(2, 4, SIDE).strides == (4 * SIDE, 4)
    assert forms.backwards(2, 4, SIDE).strides == (-4 * SIDE, -4)
    assert forms.convolution(3)(2, 4, SIDE).shape[:2] == (3, 3)
    assert forms.convolution(3, groups=8)(2, 4, 192).shape == (3, 3, 32, 4)
    assert forms.channels_last(2, 4, 192).strides[-1] == 4
    assert forms.enlarged(4)(2, 4, SIDE).shape == (4 * SIDE, 4 * SIDE)
    assert forms.shaped("rest", "m", "m")(8, 16, SIDE).shape == (4, 16, 16)
    zeros = np.mean(forms.smallest_zero(0.9)(2, 4, SIDE) == 0)
    assert abs(zeros - 0.9) < 0.01
    assert np.mean(forms.pruned_before(2, 4, SIDE) == 0) == 0.5
    assert with_out(forms.square, "F")(2, 4, SIDE).entries == SIDE * SIDE


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_of_every_dtype_differ(dtype: str) -> None:
    weights = draw("normal", (64, 64), 2, 4)
    other = cast(weights, dtype)
    assert other.dtype.name == dtype
    assert np.unique(other).size > (1 if dtype == "bool" else 60)
    assert other.dtype.kind in "bu" or (np.sign(other) == -1).any()


def test_targets() -> None:
    assert Target(0.5).share(100, 400, None) == 0.5
    assert Target(0.5).share(100, 400, 200) == 0.5
    assert Target(0.5, copied=True).share(100, 400, 200) == 1
    assert Target(0.3, 100).share(90, 100, None) == 0.9
    assert million(3000)(4).share(1500, 1, None) == 0.5
    assert million(3000)(4).is_rate
    assert no_target(4).share(1, 1, None) is None
    assert (as_the_optimum(4).ratio, as_the_optimum(8).ratio) == (0.8, 1)
    assert str(Target(0.3, 100)) == "0.3, 100 M/s"
    assert str(half_of_a_copy(4)) == "0.5, or of a copy"


def test_ratios_and_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = on(lambda given, n, m: [mask(given, n, m) for _ in range(8)], forms.square)
    once = on(mask, forms.square)
    cases = [
        Case("speed", "the same", once),
        Case("speed", "eight times the work", twice, columns=(4, 8)),
        Case("speed", "other m", once, (8,), half_of_a_copy, m=lambda m: 3 * m // 4),
        Case("speed", "beside itself", twice, (4,), no_target, beside=twice, processors=2),
    ]
    monkeypatch.setattr(surface, "all_cases", lambda: cases)
    monkeypatch.setattr(Context, "side", 512)
    records = surface.SECTION.run(Context(tmp_path, quick=True))
    assert [(r["m"], r["n"], r["column"]) for r in records if r["case"] == "other m"] == [(6, 3, 8)]
    assert [(r["case"], r["m"]) for r in records if r["case"] == "eight times the work"] == [
        ("eight times the work", 4),
        ("eight times the work", 8),
    ]
    for record in records:
        assert record["ratio"] == pytest.approx(record["best_rate"] / record["headline"])
    assert surface.worst_first(records)[0] == ("speed", "eight times the work")
    assert surface.worst_first(records)[-1] == ("speed", "beside itself")
    lines = surface.SECTION.table(records).splitlines()
    assert "reach their target" in lines[0]
    assert lines[2].startswith("| case | varies | target | m = 4 | m = 8 | m = 16")
    assert lines[4].split("|")[1].strip() == "eight times the work"
    assert lines[4].count("**") == 4
    unknown = next(line for line in lines if "This is not known." in line)
    assert unknown.split("|")[1].strip() == "eight times the work"
    assert list(surface_plot.draw({"surface": records}, tmp_path)) == ["surface.png"]
    assert (tmp_path / "surface.png").stat().st_size > 0


def test_what_bounds_a_case_can_be_measured() -> None:
    """Of every case that anybody looked into: a rate, and stages where these are the reason."""
    compiled = machine.compiler_version() is not None
    for case in all_cases():
        m, bound = case.m(16), bound_of(case.group, case.name)
        if bound is None or 16 not in case.columns:
            continue
        job = case.make(case.n(m), m, 128)
        found = bound.measure(Missed(job, case.n(m), m, headline=100.0, seconds=0.0))
        by_stages = case.group in ("values", "dtype")
        assert found.get("bound", 0.0) > 0 or (by_stages and not compiled), case.name
        assert ("stages" in found) == (by_stages and compiled), case.name


def test_the_share_of_lanes_at_work() -> None:
    job = Job(lambda: None, forms.square(8, 16, SIDE))
    lanes = bound_of("n and m", "m = 5, 10, 20, 40, n = m / 2")
    assert lanes is not None
    assert lanes.measure(Missed(job, 5, 10, 400.0, 0.0))["bound"] == 400 * (10 / 16) ** 2
    assert lanes.measure(Missed(job, 1, 3, 400.0, 0.0))["bound"] == 400 * (3 / 4) ** 2
    assert bound_of("check", "`check_mask`") is None


def test_reasons_are_told() -> None:
    """Reached, target and yardstick of each cell, and what the stages of those that tie took."""
    stages = dict.fromkeys(STAGES, 0.0) | {
        "price sweeps": 0.25, "ties": 0.25, "augmenting paths": 0.5, "best_rate": 100.0,
        "tied": 0.9, "searched": 0.5, "units": 1.0,
    }  # fmt: skip
    record = {
        "group": "values", "case": "binary", "column": 8, "m": 8, "best_rate": 90.0, "share": 0.5,
        "bound": 400.0, "stages": stages,
    }  # fmt: skip
    reached = record | {"column": 16, "share": 1.0}
    told = reasons([record, reached])
    assert "| binary | m = 8: 90.0 / 180 / 400 |" in told
    assert "| binary | 8 | 2.50 | 2.50 | 5.00 | 0.00 | 90% | 50% | 2.0 |" in told
    unmeasured = {key: record[key] for key in record if key not in ("bound", "stages")}
    assert "m = 8: 90.0 / 180 / not measured" in reasons([unmeasured])
    assert reasons([reached]) == ""
