"""Masks, turns, whole cases, and the worker with its environment."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tnm_core as tnm
from bench.context import Context
from bench.native import UnavailableError, flags_of, load
from bench.products import launch, worker
from bench.products.contenders import OURS
from bench.products.measure_case import measure_case
from bench.products.plans import PLANS, Case
from bench.products.problems import LAYERS, Problem
from bench.products.roofline import measure_limits
from bench.products.rounds import time_in_turns
from bench.products.sparsity import PATTERNS, mask_of

DENSITIES = dict(zip(PATTERNS, (0.5, 0.5, 0.5, 0.25, 0.125, 0.5, 0.5, 0.25, 0.1), strict=True))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_masks(pattern: str) -> None:
    weights = Problem(64, 96, 1).weights
    mask = mask_of(pattern, weights)
    assert mask.mean() == pytest.approx(DENSITIES[pattern], abs=1e-4)
    if pattern.endswith("%"):
        assert np.abs(weights[mask]).min() >= np.abs(weights[~mask]).max()
        return
    row_wise = tnm.check_mask(mask, pattern.removeprefix("row "), transposable=False)
    assert row_wise
    transposable = tnm.check_mask(mask, pattern.removeprefix("row "))
    assert bool(transposable) is not pattern.startswith("row")


def test_calls_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call costs what the clock says: 2 and 30 of a turn of 4 milliseconds."""
    taken: list[str] = []

    def time_once(call: Callable[[], str]) -> float:
        taken.append(call())
        return {"quick": 0.002, "slow": 0.030}[taken[-1]]

    monkeypatch.setattr("bench.products.rounds.time_once", time_once)
    quick, slow = time_in_turns([lambda: "quick", lambda: "slow"], 0.010)
    assert taken == [*["quick", "quick", "slow"] * 3]
    assert (quick.repeats, slow.repeats) == (6, 3)
    assert (quick.best, slow.median) == (0.002, 0.030)
    taken.clear()
    time_in_turns([lambda: "quick", lambda: "slow"], 0.060, cold=True)
    assert taken == ["quick", "slow"] * 4


CASE = Case("MiniLM up", 6, patterns=("2:4", "90 %"), backward=("2:4",), compressed_rows=("90 %",))


def test_a_whole_case_agrees_with_float64() -> None:
    said: list[str] = []
    records = measure_case(CASE, 1, False, 0.0, said.append, shape=(32, 48))
    assert [r["disagreement"] for r in records] == [None] * len(records)
    ours = [(r["pattern"], r["work"]) for r in records if r["peer"] == OURS]
    works = [("2:4", "forward"), ("2:4", "gradient"), ("2:4", "update"), ("90 %", "forward")]
    assert ours == works
    assert {r["work"] for r in records if r["kind"] == "dense"} == {"forward", "gradient"}
    assert {r["pattern"] for r in records if r["kind"] == "sparse"} == {"90 %"}
    torch = next(r for r in records if r["peer"] == "torch" and r["work"] == "forward")
    assert torch["gigaflops"] == pytest.approx(2 * 6 * 32 * 48 / torch["seconds"] / 1e9)
    assert all(text.startswith("skipped: onnxruntime") for text in said)


def test_bfloat16_has_fewer_peers() -> None:
    case = Case("MiniLM up", 4, "bfloat16", ("2:4",))
    records = measure_case(case, 1, False, 0.0, lambda text: None, shape=(16, 32))
    assert {r["peer"] for r in records} >= {OURS, "torch"}
    assert "NumPy (OpenBLAS)" not in {r["peer"] for r in records}
    assert [r["disagreement"] for r in records] == [None] * len(records)


def test_wrong_products_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = tnm.matmul
    monkeypatch.setattr(tnm, "matmul", lambda *words, **options: right(*words, **options) * 1.001)
    records = measure_case(CASE, 1, False, 0.0, lambda text: None, shape=(32, 48))
    wrong = [(r["peer"], r["work"]) for r in records if r["disagreement"]]
    assert wrong == [(OURS, work) for work in ("forward", "gradient", "forward")]


def test_a_peer_that_cannot_be_held_is_left_out() -> None:
    records = measure_case(CASE, 1, True, 0.0, lambda text: None, shape=(32, 48))
    assert {"onnxruntime", "SciPy CSR"} & {r["peer"] for r in records} == set()
    assert {"torch", "torch.sparse CSR"} <= {r["peer"] for r in records}


def test_plans_name_layers_that_exist() -> None:
    for plan in PLANS.values():
        full, quick = plan(False), plan(True)
        assert {case.layer for case in (*full, *quick)} <= set(LAYERS)
        assert len(quick) <= len(full)


def test_worker_writes_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(PLANS, "tokens", lambda quick: [Case("MiniLM down", 2, patterns=("1:4",))])
    worker.main(["tokens", "--quick", "--held"])
    records = json.loads(capsys.readouterr().out)
    assert {r["plan"] for r in records} == {"tokens"}
    assert {r["instruction_set"] for r in records} == {tnm.build_info()["instruction_set"]}
    assert {r["tokens"] for r in records} == {2}


def test_environment_of_a_worker() -> None:
    free = launch.environment(2, "avx2", held=False)
    assert free["TNM_FORCE_ISA"] == "avx2"
    assert free["OPENBLAS_NUM_THREADS"] == free["OMP_NUM_THREADS"] == "2"
    assert "ONEDNN_MAX_CPU_ISA" not in set(free) - set(os.environ)
    held = launch.environment(1, "avx2", held=True)
    assert held["ATEN_CPU_CAPABILITY"] == "avx2"
    assert (held["MKL_ENABLE_INSTRUCTIONS"], held["ONEDNN_MAX_CPU_ISA"]) == ("AVX2", "AVX2")
    assert held["OPENBLAS_CORETYPE"] == "Haswell"


def test_an_instruction_set_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    monkeypatch.setitem(launch.HELD, "abacus", {})
    context = Context(tmp_path, quick=True)
    assert launch.run_worker(context, "settings", instruction_set="abacus") == []
    assert "skipped: abacus" in capsys.readouterr().out
    monkeypatch.setenv("TNM_FORCE_ISA", "abacus")
    with pytest.raises(RuntimeError, match="the worker for settings failed"):
        launch.run_worker(context, "settings")


def test_limits_of_the_machine() -> None:
    name = str(tnm.build_info()["instruction_set"])
    try:
        limits = measure_limits(name, 0.0)
    except UnavailableError as reason:
        pytest.skip(str(reason))
    assert limits["float32"] > 1
    assert limits["read"] > 0.1
    start = ctypes.c_float(1.0)
    load("products/roofline.cpp").float_operations(ctypes.c_int64(1), ctypes.byref(start))
    assert start.value == sum(chain * 0.5 + 1 for chain in range(12))
    with pytest.raises(UnavailableError, match="no flags are known for abacus"):
        flags_of("abacus")


def test_drivers_leave_denormal_numbers_alone() -> None:
    measure_limits("baseline", 0.01)
    smallest = np.full(8, 2.0**-149, dtype=np.float32)
    assert (smallest * np.float32(1) == smallest).all()
