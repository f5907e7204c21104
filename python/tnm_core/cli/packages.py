"""Which packages are there, and in which versions."""

from __future__ import annotations

import importlib.metadata
import importlib.util

import tnm_core as tnm

# What results can depend on, in the order in which it is told.
_TOLD = ("numpy", "ml_dtypes", "safetensors", "typer", "scipy", "matplotlib", "torch",
         "transformers", "pillow", "onnxruntime")  # fmt: skip


def is_installed(name: str) -> bool:
    """Tell whether a package can be imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # what find_spec says of a module that was blocked in sys.modules
        return False


def version_report() -> str:
    """Tell what a report of an error needs: versions, instruction sets, system, packages."""
    build = tnm.build_info()
    sets = build["instruction_sets"]
    built = ", ".join(sets) if isinstance(sets, list) else sets
    return "\n".join(
        [
            f"tnm {build['version']}",
            f"core: {build['compiler']}, {build['instruction_set']} of {built}",
            f"python: {build['python']}, {build['platform']}, {build['threads']} processors",
            f"packages: {', '.join(_installed_versions())}",
        ]
    )


def _installed_versions() -> list[str]:
    """List packages that are installed, without importing them."""
    found = []
    for name in _TOLD:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
