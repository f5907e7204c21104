"""Clean environments: a Python, a NumPy, the wheel and pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
# The first NumPy that has wheels for a Python; the package needs 1.25.
OLDEST_NUMPY = {10: "1.25", 11: "1.25", 12: "1.26", 13: "2.1", 14: "2.3"}
_ASK = """
import sys, sysconfig
print(sys.version_info.minor, "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else "-")
"""


class Python(NamedTuple):
    """An interpreter: what it is called by, its minor version, whether it has no GIL."""

    command: str
    minor: int
    free_threaded: bool

    def __str__(self) -> str:
        return f"3.{self.minor}{'t' if self.free_threaded else ''}"

    @property
    def tag(self) -> str:
        """How wheels name its ABI."""
        return f"cp3{self.minor}{'t' if self.free_threaded else ''}"


def as_python(command: str) -> Python:
    """Ask an interpreter what it is."""
    answer = subprocess.run(
        [command, "-c", _ASK], capture_output=True, text=True, check=True, env=clean_environment()
    )
    minor, threading = answer.stdout.split()
    return Python(command, int(minor), threading == "t")


def numpy_requirements(python: Python) -> list[str]:
    """Name the oldest NumPy that a Python has and the package takes, and the newest."""
    oldest = OLDEST_NUMPY.get(python.minor)
    return [*([f"numpy=={oldest}.*"] if oldest else []), "numpy"]


def create(python: Python, folder: Path) -> Path:
    """Make an environment; returns its interpreter."""
    call(python.command, "-m", "venv", "--clear", folder)
    return folder / "bin" / "python"


def install(python: Path, *requirements: str | Path) -> None:
    """Install wheels alone: nothing is compiled."""
    call(python, "-m", "pip", "install", "-q", "--only-binary=:all:", *requirements)


def run_tests(python: Path, *places: str) -> None:
    """Run tests against what is installed there, not the sources beside them."""
    call(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *places)


def call(*command: str | Path) -> None:
    """Run a program in the root of the sources; ends this one if it fails."""
    words = list(map(str, command))
    status = subprocess.run(words, cwd=ROOT, check=False, env=clean_environment()).returncode
    if status != 0:
        sys.exit(f"failed with status {status}: {' '.join(words)}")


def clean_environment() -> dict[str, str]:
    """Leave out what would bring in other packages."""
    left_out = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHON_GIL")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONDONTWRITEBYTECODE": "1"}
