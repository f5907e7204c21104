"""Small C++ drivers, built on the fly and loaded with ctypes."""

from __future__ import annotations

import ctypes
import os
import subprocess
from functools import cache
from pathlib import Path

from bench.machine import compiler

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "bench" / "native"
_FLAGS = {
    "baseline": [],
    "avx2": ["-march=x86-64-v3"],
    "avx512": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}


# Sums in any order. -ffast-math would say so, too, but GCC links a library that is built with it so
# that the whole process takes denormal numbers for zeros from then on.
ANY_ORDER = ("-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno")


class UnavailableError(Exception):
    """A peer or a driver that this machine cannot run; the text says why."""


def flags_of(instruction_set: str) -> list[str]:
    """Give the compiler's flags for an instruction set of the library."""
    name = next((n for n in reversed(_FLAGS) if instruction_set.startswith(n)), None)
    if name is None:
        raise UnavailableError(f"no flags are known for {instruction_set}")
    return _FLAGS[name]


@cache
def load(source: str, *flags: str) -> ctypes.CDLL:
    """Compile bench/<source> into a shared library under build/."""
    path = HERE / source
    BUILD.mkdir(parents=True, exist_ok=True)
    library = BUILD / f"{path.stem}.so"
    unfinished = library.with_suffix(f".{os.getpid()}.tmp")
    command = [compiler(), "-std=c++17", "-O3", "-DNDEBUG", "-shared", "-fPIC", *flags]
    try:
        subprocess.run(
            [*command, str(path), "-o", str(unfinished)], check=True, capture_output=True, text=True
        )
    except OSError as error:
        raise UnavailableError(f"no C++ compiler ({error})") from error
    except subprocess.CalledProcessError as error:
        first = next((line for line in error.stderr.splitlines() if "error" in line), "failed")
        raise UnavailableError(f"{source} does not compile: {first}") from error
    unfinished.replace(library)
    return ctypes.CDLL(str(library))
