"""Damaged files of every kind through inspect, check, prune and the API; make fuzz runs longer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASES = 1000  # less than a minute


@pytest.mark.skipif(sys.platform != "linux", reason="bounds memory and time as Linux does")
def test_no_file_breaks_a_reader(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.reader_fuzz", "--cases", str(CASES)]
    paths = os.pathsep.join([str(ROOT), *sys.path])
    result = subprocess.run(
        [*command, "--keep", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{CASES} cases" in result.stdout


def test_a_finding_is_kept_and_can_be_replayed(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from tests.support.reader_fuzz import commands, worker\n"
        "def fail(path): raise KeyError('planted')\n"
        "commands.read_index = fail\n"
        "sys.exit(worker.main(sys.argv[1:]))\n"
    )
    paths = os.pathsep.join([str(ROOT), *sys.path])
    result = subprocess.run(
        [sys.executable, "-c", code, "1", "0", "1", str(tmp_path), str(tmp_path / "progress")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 3
    assert "planted" in result.stdout
    assert "--replay 1:" in result.stdout
    assert [path for path in tmp_path.iterdir() if path.is_dir() and any(path.iterdir())]
