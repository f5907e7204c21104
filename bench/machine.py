"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import tnm_core as tnm

PACKAGES = (
    *("numpy", "scipy", "ortools", "networkx", "ml_dtypes", "matplotlib"),
    *("torch", "onnx", "onnxruntime"),
)
EXTENSIONS = ("sse2", "avx2", "avx512f", "avx512bw", "avx512vl", "avx512_bf16", "amx_bf16")


def describe() -> dict[str, Any]:
    return {
        "cpu": _cpu_model(),
        "vector_extensions": [name for name in EXTENSIONS if name in flags()],
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "benchmark_compiler": compiler_version(),
        "tnm_core": dict(tnm.build_info()),
    }


def hardware() -> str:
    """Say in a few words what processor this is."""
    wide = {"avx512f": "AVX-512", "avx2": "AVX2"}
    widest = next((f" with {word}" for name, word in wide.items() if name in flags()), "")
    return f"{os.cpu_count()} cores of an {_cpu_model()}{widest}"


def software() -> str:
    """Say in a few words which Python and torch these are."""
    return f"Python {platform.python_version()}, torch {_version('torch')}"


def processor_share(seconds: float = 0.2) -> float:
    """Measure how much of a core a busy process gets: below 1 others are at work as well."""
    wall, busy = perf_counter(), process_time()
    while perf_counter() - wall < seconds:
        pass
    return (process_time() - busy) / (perf_counter() - wall)


def compiler() -> str:
    return os.environ.get("CXX", "c++")


def compiler_version() -> str | None:
    try:
        answer = subprocess.run(
            [compiler(), "--version"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.splitlines()[0]


def _cpu_fields() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    first = path.read_text().split("\n\n")[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _cpu_model() -> str:
    fields = _cpu_fields()
    name = fields.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in fields:
        name += f" (family {fields['cpu family']}, model {fields.get('model', '?')})"
    return name


def flags() -> set[str]:
    """Name what the processor can do, as the system spells it."""
    return set(_cpu_fields().get("flags", "").split())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
