"""tnm diversity and its picture."""

from __future__ import annotations

import importlib
import json
import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tnm_core
from tests.cli.conftest import Tnm
from tnm_core import counting
from tnm_core.plots.diversity import diversity_points


def test_one_tile(tnm: Tnm) -> None:
    result = tnm("diversity", "4:8")
    assert result.status == 0, result.err
    for word in ("116963796250", "11.068", "17557585920000", "13.244", "150.111", "closed form"):
        assert word in result.out


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["2:4"], 90),
        (["2:4", "--shape", "8x12"], 90**6),
        (["2:4", "--shape", "3x8x8"], 90**12),
        (["2:4", "--constraint", "rowwise", "--shape", "8x8"], 6**16),
        (["row 2:4", "--shape", "8x8"], 6**16),
        (["row 2:4", "--constraint", "rowwise"], 6**4),
        (["2:4", "--constraint", "unstructured"], math.comb(16, 8)),
        (["4:8", "--constraint", "transposable_at_most", "--threads", "1"], 94473463102448047),
    ],
)
def test_json(tnm: Tnm, arguments: list[str], count: int) -> None:
    report = json.loads(tnm("diversity", *arguments, "--json").out)
    assert int(report["count"]) == count
    assert report["log10"] == pytest.approx(math.log10(count))
    assert report["pattern"] == arguments[0].removeprefix("row ")
    has_closed_form = "--constraint" not in arguments and arguments[0] == "2:4"
    assert (report["closed_form"] is not None) is has_closed_form
    if has_closed_form:
        tiles = math.prod(report["shape"]) // 16
        assert int(report["closed_form"]) == 144**tiles
        assert report["log10_ratio"] == pytest.approx(tiles * math.log10(144 / 90))


def test_edge_tiles_have_no_closed_form(tnm: Tnm) -> None:
    report = json.loads(tnm("diversity", "2:4", "--shape", "5x6", "--json").out)
    assert int(report["count"]) == tnm_core.mask_diversity(2, 4, shape=(5, 6))
    assert report["closed_form"] is report["closed_form_log10"] is None
    assert "closed form" not in tnm("diversity", "2:4", "--shape", "5x6").out


@pytest.mark.parametrize("constraint", ["transposable", "rowwise", "unstructured"])
def test_numbers_too_long_to_show(tnm: Tnm, constraint: str) -> None:
    arguments = ["diversity", "2:4", "--shape", "65536x65536", "--constraint", constraint]
    report = json.loads(tnm(*arguments, "--json").out)
    assert report["count"] is None
    assert report["log10"] > 1e8
    assert "digits" in tnm(*arguments).out


def test_bad_input(tnm: Tnm, tmp_path: Path) -> None:
    foreign = tmp_path / "notes.json"
    foreign.write_text("{}")
    picture = tmp_path / "picture.png"
    for arguments, words in (
        (["diversity", "5:4"], ("5:4", "n:m")),
        (["diversity", "2:4", "--shape", "8"], ("--shape", "'8'")),
        (["diversity", "2:4", "--shape", "8x-8"], ("--shape",)),
        (["diversity", "2:4", "--constraint", "sequential"], ("--constraint is 'sequential'",)),
        (["diversity", "row 2:4", "--constraint", "transposable"], ("'row 2:4'", "expected")),
        (["diversity", "2:4", "--max-seconds", "-1"], ("--max-seconds",)),
        (["diversity", "2:4", "--threads", "0"], ("--threads",)),
        (["diversity", "16:32"], ("predicted", "--max-seconds")),
        (["diversity", "6:12", "--checkpoint", foreign], ("notes.json",)),
        (["diversity", "6:12", "--checkpoint", tmp_path / "none" / "x"], ("none",)),
        (["plot", "diversity", "-o", tmp_path / "picture.txt"], (".png",)),
    ):
        tnm(*arguments).assert_refused(*words)
    assert foreign.read_text() == "{}"
    assert not picture.exists()


def test_checkpoint_survives_ctrl_c(tnm: Tnm, tmp_path: Path) -> None:
    """Stop 11:22, continue it, and find what a run without a stop finds."""
    file = tmp_path / "count.json"
    code = """
import sys
from tnm_core.counting import regular as _regular
save = _regular.interrupted_count.save
def told(path, state):
    save(path, state)
    print("saved", state.slices_done, flush=True)
_regular.interrupted_count.save = told
_regular._SAVE_SECONDS = 0.0
_regular._STEP_SECONDS = 0.02
from tnm_core.cli import main
main()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, "diversity", "11:22", "--checkpoint", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("saved")
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert error == (
        f"tnm: interrupted; the count so far is kept in {file}: the same command continues it\n"
    )
    assert json.loads(file.read_bytes())["passes_done"] < 6
    report = json.loads(tnm("diversity", "11:22", "--checkpoint", file, "--json").out)
    assert int(report["count"]) == tnm_core.mask_diversity(11, 22)


@pytest.mark.parametrize("options", [[], ["--checkpoint", "count.json"]])
def test_interrupt_before_anything_is_kept(
    tnm: Tnm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    command = importlib.import_module("tnm_core.cli.commands.diversity")
    monkeypatch.setattr(command, "diversity_factors", stop)
    result = tnm("diversity", "11:22", *options)
    assert result.status == 130
    assert result.err == "tnm: interrupted; no unfinished file is left\n"
    assert list(tmp_path.iterdir()) == []


def test_points_of_the_picture() -> None:
    points = diversity_points(2, 16, max_seconds=1)
    assert [(p.n, p.m) for p in points] == [(n, 2 * n) for n in range(1, 9)]
    assert all(point.is_exact for point in points)
    four = points[3]
    assert four.transposable == pytest.approx(math.log10(116963796250) / 64)
    assert four.rowwise == pytest.approx(math.log10(70) / 8)
    assert four.closed_form == pytest.approx(math.log10(17557585920000) / 64)
    estimated = diversity_points(4, 32, max_seconds=0)[-1]
    assert not estimated.is_exact
    assert estimated.transposable == pytest.approx(counting.estimate(8, 32).log10 / 32**2)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plot(tnm: Tnm, tmp_path: Path, suffix: str) -> None:
    picture = tmp_path / f"diversity.{suffix}"
    result = tnm("plot", "diversity", "-o", picture, "--max-seconds", 0.1, "--largest-m", 32)
    assert result.status == 0, result.err
    assert picture.stat().st_size > 5000
