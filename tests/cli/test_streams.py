"""Streams that are closed or full, and Ctrl-C before anything was begun: one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TNM = [sys.executable, "-c", "from tnm_command import main; main()"]
# Ctrl-C at the moment at which a module is looked for.
INTERRUPTED = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
from {package} import main
main()
"""


def _shell(redirection: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", *TNM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_closed_stdout(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.ones((4, 4)))
    for arguments in (["inspect", tmp_path / "w.npy"], ["prune", tmp_path / "w.npy", "-p", "2:4",
                                                        "-o", tmp_path / "out.npy"]):  # fmt: skip
        result = _shell(">&-", *arguments)
        assert result.returncode == 2
        assert result.stderr.startswith("tnm: standard output is closed")
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out.npy").exists()
    assert _shell(">&- 2>&-", "--version").returncode == 2


def test_closed_stdin_and_stderr(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.arange(1.0, 17.0).reshape(4, 4))
    out = tmp_path / "out.npy"
    result = _shell("<&- 2>&-", "prune", tmp_path / "w.npy", "-p", "2:4", "-o", out)
    assert result.returncode == 0
    assert np.count_nonzero(np.load(out)) == 8
    assert _shell("2>&-", "inspect", tmp_path / "none.npy").returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_stdout() -> None:
    result = _shell("> /dev/full", "--version")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "No space left" in result.stderr


@pytest.mark.parametrize(
    ("package", "module"),
    [("tnm_command", "numpy"), ("tnm_command", "typer"), ("tnm_core.cli", "typer")],
)
def test_interrupt_while_importing(package: str, module: str) -> None:
    code = INTERRUPTED.format(package=package, module=module)
    command = [sys.executable, "-c", code, "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 130
    assert result.stderr == "tnm: interrupted; nothing was begun\n"
    assert result.stdout == ""
