"""The study of fine-tuning, on a small encoder: runs, files, table, curves, texts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.fine_tuning import report, task, texts
from bench.fine_tuning.__main__ import chosen, main
from bench.fine_tuning.arms import DEFAULT, Arm
from bench.fine_tuning.run import POINTS, finished, run
from bench.output.figures import ROOT
from bench.output.kept import kept
from tests.support.small_encoder import CONFIG, small_encoder

STEPS = 40
FEW = 24  # to calibrate with: too few, so that there is much to mend
ARM = Arm("2:4", steps=STEPS, sentences=FEW, learning_rate=8e-4)
ARGUMENTS = [
    *("--only", "^2:4 mixture", "--steps", str(STEPS)),
    *("--sentences", str(FEW), "--learning-rate", "8e-4"),
]


def _sentences(count: int, seed: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(5, 12, (count,), generator=generator).tolist()
    return [
        (torch.rand(length, generator=generator) ** 3 * CONFIG["vocab_size"]).long().tolist()
        for length in lengths
    ]


@dataclass(frozen=True)
class SmallTask:
    def model(self) -> Any:
        return small_encoder()

    def training(self, text: str, seed: int) -> list[list[int]]:
        return _sentences(400 if text == "mixture" else 100, seed)

    def pools(self, seed: int) -> dict[str, list[list[list[int]]]]:
        return {"news": [_sentences(40, 90), _sentences(40, 91)], "plays": [_sentences(40, 92)]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves."""
    found = tmp_path_factory.mktemp("fine_tuning")
    main([*ARGUMENTS, "--out", str(found)], SmallTask())
    return found


def _results(folder: Path) -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def test_fine_tuning_comes_closer_on_all_texts(folder: Path) -> None:
    results = _results(folder)
    assert [one["pattern"] for one in results] == ["2:4"]
    for one in results:
        for kind in ("news", "plays"):
            before, after = one["calibrated"][kind], one["fine-tuned"][kind]
            assert 1 - after["cosine"] < 0.9 * (1 - before["cosine"])
            assert after["same neighbour"] >= before["same neighbour"]
        assert [point["step"] for point in one["points"]] == [5 * k for k in range(1, POINTS + 1)]
        losses = [point["loss"] for point in one["points"]]
        assert losses[-1] < losses[0]
        seconds = [point["seconds"] for point in one["points"]]
        assert seconds == sorted(seconds)
        assert seconds[0] > 0


def test_runs_that_came_to_their_end_are_not_done_again(folder: Path, capsys: Any) -> None:
    class Broken(SmallTask):
        def model(self) -> Any:
            raise AssertionError("a run is done again")

    before = _results(folder)
    main([*ARGUMENTS, "--out", str(folder)], Broken())
    assert _results(folder) == before
    assert capsys.readouterr().out.strip() == (folder / "table.md").read_text().strip()


def test_interrupted_runs_go_on(folder: Path, tmp_path: Path) -> None:
    path, told = tmp_path / "run.json", []

    def stop(line: str) -> None:
        told.append(line)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(SmallTask(), ARM, path, stop)
    (kept,) = _results(tmp_path)
    assert len(kept["points"]) == 2
    assert kept["fine-tuned"] is None
    assert finished(path) is None
    with pytest.raises(ValueError, match="with other sentences: remove it"):
        run(SmallTask(), replace(ARM, sentences=FEW + 1), path, told.append)
    told.clear()
    result = run(SmallTask(), ARM, path, told.append)
    assert len(told) == 1 + POINTS - 2 + 1
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]
    (whole,) = _results(folder)
    for name in ("calibrated", "fine-tuned"):
        assert result[name] == whole[name]  # to the bit
    assert [one["loss"] for one in result["points"]] == [one["loss"] for one in whole["points"]]
    path.write_text("[]")
    with pytest.raises(ValueError, match="does not hold a result of this study"):
        finished(path)


def test_table_and_curves(folder: Path) -> None:
    results = _results(folder)
    lines = report.table(results).splitlines()
    assert lines[0] == "| pattern | trained on | steps | CPU minutes |  | news | plays |"
    assert len(lines) == 2 + 2 * len(results)
    cosine = results[0]["fine-tuned"]["news"]["cosine"]
    assert f"| fine-tuned | **{cosine:.3f} / " in lines[3]
    assert (folder / "fine-tuning.png").read_bytes().startswith(b"\x89PNG")


def test_page_is_brought_up_to_date(folder: Path, tmp_path: Path) -> None:
    results = _results(folder)
    page = tmp_path / "fine-tuning.md"
    page.write_text((ROOT / "docs" / "fine-tuning.md").read_text())
    (tmp_path / "images").mkdir()
    report.update(results, tmp_path)
    assert report.table(results) in page.read_text()
    assert kept(tmp_path, report.RESULTS) == results
    assert report.table_with_stamp(results) in page.read_text()
    elsewhere = [{**one, "machine": "another", "threads": 2} for one in results]
    told = report.table_with_stamp([*results, *elsewhere])
    assert f"{results[0]['date']}; another, 2 threads, " in told
    report.update(results, tmp_path)
    assert page.read_text().count("Measured by") == 1
    assert (tmp_path / "images" / "fine-tuning.png").exists()


def test_runs_are_chosen_by_name() -> None:
    assert chosen("") == list(DEFAULT)
    assert chosen("^row 2:4 mixture", steps=7, sentences=9, seed=1) == [
        Arm("row 2:4", "mixture", 7, 9, 3e-4, seed=1)
    ]
    assert len({arm.file_name for arm in DEFAULT}) == len(DEFAULT)
    for wrong in ("8:16", "("):
        with pytest.raises(ValueError, match="only is"):
            chosen(wrong)


def test_texts_are_read_as_they_are_spoken() -> None:
    play = """ACT I. SCENE I.

Ham.
To be, or not to be,
that is the question.  [Aside.] Words, words!

Enter GHOST. Who is there?
"""
    assert texts.spoken(play) == ["To be, or not to be, that is the question."]
    scan = "### START: page ###\np.772:0\n\nThe exact date of his\nbirth is not known. In 1564"
    assert texts.printed(scan) == ["The exact date of his birth is not known."]
    message = "From: someone\nSubject: it\n\n> I say that it is\n> so indeed.\nNo, it is not so."
    assert texts.written(message) == ["I say that it is so indeed.", "No, it is not so."]


@pytest.mark.parametrize("times", [0.25, 1.0, 2.5])
def test_share_of_a_kind(times: float) -> None:
    sentences = [f"sentence {at}" for at in range(40)]
    found = task.repeated(sentences, times, np.random.default_rng(0))
    counts = Counter(found)
    assert len(found) == round(40 * times)
    assert max(counts.values()) <= int(times) + 1
    assert len(counts) == min(40, len(found))
