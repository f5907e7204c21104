"""Runs of a study are kept one by one, stopped at once, and not repeated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench.study.runs import Results, complete
from bench.study.variants import Variant

ROOT = Path(__file__).parents[2]
VARIANTS = [Variant("2:4", "best"), Variant("4:8", "best"), Variant("2:4", "best", "greedy"),
        Variant("2:4", "best", samples=7)]  # fmt: skip
WANTED = [(variant, seed) for seed in range(2) for variant in VARIANTS]

# Runs of the first seed end at once, others never.
SCRIPT = """
import sys, time
from dataclasses import asdict
from pathlib import Path
from bench.study.variants import Variant
from bench.study.runs import Results, complete

def run(variant, seed):
    if seed:
        time.sleep(3600)
    return {**asdict(variant), "seed": seed}

def announce(result, done, total):
    print("kept", done, flush=True)

if __name__ == "__main__":
    wanted = [(Variant("2:4", "best"), seed) for seed in range(4)]
    complete(Results(Path(sys.argv[1]), Variant), wanted, run, 2, announce)
"""


class Runner:
    """Says what it was asked for, and fails at one of the calls."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.asked: list[tuple[Variant, int]] = []
        self.fails_at = fails_at

    def __call__(self, variant: Variant, seed: int) -> dict[str, Any]:
        if len(self.asked) == self.fails_at:
            raise KeyboardInterrupt
        self.asked.append((variant, seed))
        return {**asdict(variant), "seed": seed, "value": len(self.asked)}


@pytest.mark.parametrize("stop", [0, 1, 5])
def test_what_is_missing_is_run_and_nothing_twice(tmp_path: Path, stop: int) -> None:
    path = tmp_path / "results.json"
    first, second, third = Runner(stop), Runner(), Runner()
    with pytest.raises(KeyboardInterrupt):
        complete(Results(path, Variant), WANTED, first, workers=0)
    assert len(Results(path, Variant).found) == stop
    told: list[tuple[int, int]] = []
    complete(Results(path, Variant), WANTED, second, 0, lambda result, *place: told.append(place))
    assert first.asked + second.asked == WANTED
    assert told == [(done, len(WANTED) - stop) for done in range(1, len(WANTED) - stop + 1)]
    complete(Results(path, Variant), WANTED, third, workers=0)
    assert third.asked == []
    assert len(json.loads(path.read_text())) == len(WANTED)
    assert not path.with_suffix(".part").exists()


@pytest.mark.parametrize("text", ["", "[", "{}x", "[1]", '[{"pattern": "2:4"}]'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="does not hold results of this study"):
        Results(path, Variant)
    assert path.read_text() == text


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_workers_end_at_once(tmp_path: Path, how: str) -> None:
    script, path = tmp_path / "script.py", tmp_path / "results.json"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "kept 1\n"
        if how == "SIGINT":  # as a terminal does: everyone gets it
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(getattr(signal, how))
        # The pipes are at their end when the workers are gone, too.
        _, errors = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -getattr(signal, how)
    assert ("KeyboardInterrupt" in errors) == (how == "SIGINT")
    assert [one["seed"] for one in json.loads(path.read_text())] == [0]
