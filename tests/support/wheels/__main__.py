"""Build the source distribution, wheels of it for one Python or several, check and try them.

What auditwheel repairs gets the oldest manylinux tag that this machine's C and C++ libraries allow;
those of cibuildwheel, made in older ones, run on more systems.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.wheels.archives import why_bad_sdist, why_bad_wheel
from tests.support.wheels.environments import (
    ROOT,
    Python,
    as_python,
    call,
    create,
    install,
    numpy_requirements,
    run_tests,
)

WORK = ROOT / "build" / "wheels"


def main() -> None:
    """Do all of it, for the interpreters that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.wheels")
    parser.add_argument("pythons", nargs="*", default=["python3"], help="interpreters")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    options = parser.parse_args()
    if sys.platform != "linux":
        sys.exit("wheels are made here for Linux alone; for other systems, run cibuildwheel there")
    pythons = [as_python(command) for command in options.pythons]
    for folder in (WORK, options.out):
        shutil.rmtree(folder, ignore_errors=True)
    sdist = build_sdist(options.out)
    for python in pythons:
        heading(f"Python {python}")
        wheel = build_wheel(python, sdist, options.out)
        try_wheel(python, wheel)
    call(sys.executable, "-m", "twine", "check", "--strict", *options.out.iterdir())
    heading("made and tested")
    for path in sorted(options.out.iterdir()):
        print(f"{path.stat().st_size / 1e6:6.2f} MB  {path}")


def build_sdist(out: Path) -> Path:
    """Build the source distribution, and look into it."""
    heading("source distribution")
    call(sys.executable, "-m", "build", "--sdist", "--outdir", out)
    (sdist,) = out.glob("*.tar.gz")
    check(sdist, why_bad_sdist)
    return sdist


def build_wheel(python: Python, sdist: Path, out: Path) -> Path:
    """Build a wheel of the source distribution, repair it and look into it."""
    builder = create(python, WORK / f"builder-{python}")
    raw = WORK / f"raw-{python}"
    call(builder, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", raw, sdist)
    (built,) = raw.glob("*.whl")
    call(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", out, built)
    (wheel,) = out.glob(f"*-{python.tag}-*.whl")
    check(wheel, why_bad_wheel)
    return wheel


def try_wheel(python: Python, wheel: Path) -> None:
    """Test the wheel with NumPy alone, the oldest and the newest, and with the command line.

    Of a free-threaded Python the command line is left out: safetensors has no wheels for it.
    """
    for number, numpy in enumerate(numpy_requirements(python)):
        heading(f"Python {python}, {numpy}")
        environment = create(python, WORK / f"test-{python}-{number}")
        install(environment, wheel, numpy, "pytest")
        run_tests(environment, "tests/wheel")
    if python.free_threaded:
        heading(f"Python {python}: no wheels of safetensors, so the command line is not tested")
        return
    heading(f"Python {python}, with the command line")
    install(environment, f"tnm_core[cli] @ {wheel.as_uri()}")
    run_tests(environment, "tests/wheel/test_command.py")


def check(path: Path, why_bad: Callable[[Path], list[str]]) -> None:
    """End here if something is wrong."""
    faults = why_bad(path)
    if faults:
        sys.exit("\n".join([f"{path.name}:", *(f"    {fault}" for fault in faults)]))


def heading(text: str) -> None:
    """Print what comes next."""
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    main()
