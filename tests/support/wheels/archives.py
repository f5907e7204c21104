"""What a source distribution and a wheel must hold, and what they must not."""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MOST_MEGABYTES = {"sdist": 12, "wheel": 4}
# Left behind by builds, tools and editors.
RUBBISH = re.compile(
    r"(^|/)(build|dist|\.venv|\.git|\.hypothesis|\.[a-z]+_cache|__pycache__|[^/]+\.egg-info)(/|$)"
    r"|\.(o|a|so|pyc|orig|rej|swp)$|~$"
)
# What it takes to build a wheel of a source distribution, and to test it.
SOURCES = ("cpp", "python", "tests")
SOURCE_FILES = ("CMakeLists.txt", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml")
PACKAGES = ("tnm_core", "tnm_command")


def why_bad_sdist(path: Path) -> list[str]:
    """List what is wrong with a source distribution."""
    with tarfile.open(path) as archive:
        names = [member.name.partition("/")[2] for member in archive if member.isfile()]
    missing = {*SOURCE_FILES, *source_names()} - set(names)
    return [
        *_too_large(path, "sdist"),
        *(f"{name} is missing" for name in sorted(missing)),
        *(f"{name} does not belong there" for name in names if RUBBISH.search(name)),
    ]


def why_bad_wheel(path: Path) -> list[str]:
    """List what is wrong with a wheel that auditwheel has repaired."""
    names = [name for name in zipfile.ZipFile(path).namelist() if not name.endswith("/")]
    metadata = f"{'-'.join(path.name.split('-')[:2])}.dist-info/"
    code = {name for name in names if not name.startswith(metadata)}
    modules = {name for name in code if re.fullmatch(r"tnm_core/_core\.[\w.-]+\.so", name)}
    expected = {
        name.removeprefix("python/")
        for name in source_names()
        if name.startswith(tuple(f"python/{package}/" for package in PACKAGES))
    }
    licences = [name for name in names if name.startswith(metadata) and name.endswith("/LICENSE")]
    return [
        *_too_large(path, "wheel"),
        *(f"{name} is missing" for name in sorted(expected - code)),
        *(f"{name} does not belong there" for name in sorted(code - expected - modules)),
        *([] if len(modules) == 1 else [f"{len(modules)} compiled modules, expected one"]),
        *([] if len(licences) == 1 else ["the licence is missing"]),
        *([] if "-manylinux_" in path.name else ["it is no manylinux wheel"]),
    ]


def source_names() -> set[str]:
    """List the files that a source distribution needs, without what builds leave behind."""
    found = (path for folder in SOURCES for path in (ROOT / folder).rglob("*") if path.is_file())
    names = {str(path.relative_to(ROOT)) for path in found}
    return {name for name in names if not RUBBISH.search(name)}


def _too_large(path: Path, kind: str) -> list[str]:
    megabytes = path.stat().st_size / 1e6
    most = MOST_MEGABYTES[kind]
    return [f"{megabytes:.1f} MB, expected at most {most}"] if megabytes > most else []
