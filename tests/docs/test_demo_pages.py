"""Commands of pages that build on `make demo` run after it, as they are written.

The recipe of `make demo` runs here, too, with a tiny model in place of the one that it installs:
make and the shell do what they do, `tnm` is recorded and then run in this process.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import matplotlib
import pytest

from tests.docs.documents import ROOT, SHELL, blocks, shell_lines, words_of
from tests.docs.small_clone import run_tnm, write_clone

PAGES = [ROOT / "README.md", ROOT / "docs" / "prune.md"]
LEFT_OUT = ("make ", "pip install ", ". .venv/bin/activate")
RECORD = """#!/bin/sh
for word; do printf '%s\\0' "$word"; done >> calls
echo >> calls
"""


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make what a clone holds after `make demo`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    matplotlib.use("Agg")
    write_clone(tmp_path, tmp_path / "package")
    for words in _calls_of_the_demo(tmp_path):
        _run(words)
    return tmp_path


def _calls_of_the_demo(folder: Path) -> list[list[str]]:
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    weights = folder / "package" / "model.safetensors"
    for name, text in {"tnm": RECORD, "python": f"#!/bin/sh\necho {weights}\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    installed = [f"--old-file=.venv/{name}" for name in (".installed-demo", ".minilm")]
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    command = ["make", "-f", str(ROOT / "Makefile"), *installed, "demo"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    lines = (folder / "calls").read_text().splitlines()
    return [line.rstrip("\0").split("\0") for line in lines]


def _run(words: list[str]) -> None:
    """Run a command; the quickest recipe will do, since the tutorial's test takes the best."""
    run_tnm([*words, "--recipe", "magnitude"] if words[0] == "calibrate" else words)


def test_commands_run_after_the_demo(clone: Path) -> None:
    made = {path.name for path in (clone / "build" / "demo").iterdir()}
    assert {"minilm", "minilm-16-32", "calibration.txt", "others.txt", "retained.png"} <= made
    ran = 0
    for block in blocks(*SHELL, documents=PAGES):
        for line in shell_lines(block):
            if not line.startswith((*LEFT_OUT, "cmake ")):
                assert words_of(line)[0] == "tnm", line
                _run(words_of(line)[1:])
                ran += 1
    assert ran >= 14
    assert (clone / "build" / "demo" / "mask.png").stat().st_size > 1000
    assert "transposable 16:32" in run_tnm(["check", "build/demo/calibrated"])


def test_first_command_is_the_demo() -> None:
    assert shell_lines(blocks(*SHELL, documents=PAGES)[0])[0].startswith("make demo ")
