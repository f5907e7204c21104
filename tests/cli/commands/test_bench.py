"""tnm bench linear: what it prints, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Tnm
from tnm_core.extras import how_to_install

QUICK = ("--seconds", "0.001", "--tokens", "16", "--device", "cpu")


def test_table_and_verdict(tnm: Tnm) -> None:
    result = tnm(
        "bench", "linear", "--shape", "64x32", "--shape", "32x64", "--backend", "emulate", *QUICK
    )
    assert result.status == 0, result.err
    assert "16 tokens, float32, 2:4, cpu: milliseconds" in result.out
    assert "dense input gradient" in result.out
    assert "64 x 32: " in result.out
    assert result.out.count("the dense speed, weight gradient and packing included") == 2


def test_json_and_table_on_disk(tnm: Tnm, tmp_path: Path) -> None:
    from tnm_core.torch import SpeedTable

    table = tmp_path / "speeds.json"
    for shape, pattern in (("64x32", "4:8"), ("16x16", "row 4:8")):
        words = ("bench", "linear", "--shape", shape, "-p", pattern, "--table", table, "--json")
        result = tnm(*words, *QUICK)
        assert result.status == 0, result.err
        report = json.loads(result.out)
        assert report["command"] == "bench linear"
        assert [part["graph_seconds"] for part in report["layers"][0]["parts"]] == [None] * 6
        assert report["layers"][0]["backend"] == "cpu"
        kind = "masked" if pattern.startswith("row") else "sparse"
        assert report["layers"][0]["parts"][4]["part"] == f"{kind} input gradient"
    assert [(speed.out_features, speed.pattern) for speed in SpeedTable.load(table)] == [
        (64, "4:8"),
        (16, "row 4:8"),
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--shape", "64"), ("--shape is '64'", "4096x16384")),
        (("--shape", "0x64"), ("--shape is '0x64'",)),
        (("--shape", "64x2"), ("in_features is 2", "4 x 4 tile")),
        (("--shape", "64x64", "--pattern", "4"), ("--pattern is '4'",)),
        (("--shape", "64x64", "--dtype", "int8"), ("--dtype is 'int8'", "bfloat16")),
        (("--shape", "64x64", "--backend", "cutlass"), ("'cutlass'", "'cusparselt'")),
        (("--shape", "64x64", "--backend", "cusparselt"), ("on cpu, expected a CUDA device",)),
        (("--shape", "64x60", "--backend", "cusparselt"), ("in_features is 60",)),
        (("--shape", "64x64", "--device", "tpu"), ("--device is 'tpu'", "cuda:N")),
        ((), ("--shape",)),
    ],
)
def test_bad_input(tnm: Tnm, words: tuple[str, ...], told: tuple[str, ...]) -> None:
    usual = ("--seconds", "0.001", "--tokens", "16")
    device = () if "--device" in words else ("--device", "cpu")
    tnm("bench", "linear", *words, *usual, *device).assert_refused(*told)


def test_no_cuda_and_no_table(tnm: Tnm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ("bench", "linear", "--shape", "16x16")
    tnm(*words, "--device", "cuda").assert_refused("torch finds no CUDA device", "expected cpu")
    table = tmp_path / "speeds.json"
    table.write_text("nonsense")
    tnm(*words, *QUICK, "--table", table).assert_refused("is not a table of speeds")
    assert table.read_text() == "nonsense"


def test_without_torch(tnm: Tnm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    tnm("bench", "linear", "--shape", "16x16").assert_refused(how_to_install("torch"))
