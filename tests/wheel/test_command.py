"""The command `tnm`: with the extra ``cli``, and what it says without."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import tnm_core
from tnm_core.extras import how_to_install

NEEDED = ("typer", "rich", "safetensors", "ml_dtypes")
HAS_CLI = all(importlib.util.find_spec(name) for name in NEEDED)
SCRIPT = Path(sysconfig.get_path("scripts")) / ("tnm.exe" if sys.platform == "win32" else "tnm")
# As if none of the packages were there.
WITHOUT = f"""
import sys
for name in {NEEDED}:
    sys.modules[name] = None
from tnm_command import main
main()
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, encoding="utf-8"
    )


def check_report(text: str) -> None:
    lines = text.splitlines()
    info = tnm_core.build_info()
    assert lines[:3] == [
        f"tnm {info['version']}",
        f"core: {info['compiler']}, {info['instruction_set']} of "
        + ", ".join(info["instruction_sets"]),  # type: ignore[arg-type]
        f"python: {info['python']}, {info['platform']}, {info['threads']} processors",
    ]
    assert lines[3].startswith(f"packages: numpy {np.__version__}")


@pytest.mark.skipif(not SCRIPT.exists(), reason="the package was not installed")
def test_console_script_tells_its_version() -> None:
    done = run(str(SCRIPT), "--version")
    assert done.returncode == 0, done.stderr
    check_report(done.stdout)


def test_version_is_told_without_the_extra() -> None:
    done = run(sys.executable, "-c", WITHOUT, "--version")
    assert done.returncode == 0, done.stderr
    check_report(done.stdout)


def test_without_the_extra_it_says_what_is_missing() -> None:
    done = run(sys.executable, "-c", WITHOUT, "--help")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"tnm: the command line needs {', '.join(NEEDED)}: {how_to_install('cli')}\n"
    )


@pytest.mark.skipif(not HAS_CLI, reason="the extra cli is not installed")
def test_commands_prune_and_check(tmp_path: Path) -> None:
    weights, pruned = tmp_path / "weights.npy", tmp_path / "pruned.npy"
    np.save(weights, np.random.default_rng(0).standard_normal((64, 64), dtype=np.float32))
    script = [sys.executable, "-m", "tnm_core"]
    done = run(*script, "prune", str(weights), "-o", str(pruned), "--pattern", "2:4")
    assert done.returncode == 0, done.stderr
    done = run(*script, "check", str(pruned), "--pattern", "2:4")
    assert done.returncode == 0, done.stderr
    assert tnm_core.is_transposable(np.load(pruned) != 0, 2, 4)


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")
def test_without_torch_the_error_names_the_extra() -> None:
    with pytest.raises(ImportError) as caught:
        tnm_core.torch  # noqa: B018 (imported on demand)
    assert how_to_install("torch") in str(caught.value)
