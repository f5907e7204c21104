"""What an installation consists of, and that it says what it is."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import tnm_core as tnm

PACKAGE = Path(tnm.__file__).parent
PYPROJECT = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text()
FOLDERS = {"tnm_core", "tnm_command", f"tnm_core-{tnm.__version__}.dist-info"}
if sys.platform == "win32":
    FOLDERS |= {"tnm_core.libs"}  # the C++ library, by delvewheel
# Of the package; "pyc" where it was compiled on installation.
SUFFIXES = {".py", ".pyi", ".so", ".pyd", ".pyc", ".typed"}


@pytest.fixture(scope="module")
def distribution() -> importlib.metadata.Distribution:
    return importlib.metadata.distribution("tnm_core")


def test_version_is_the_same_everywhere(distribution: importlib.metadata.Distribution) -> None:
    (version,) = re.findall(r'^version = "(.+)"$', PYPROJECT, re.MULTILINE)
    assert version == tnm.__version__ == tnm.build_info()["version"] == distribution.version


def test_types_are_there() -> None:
    assert (PACKAGE / "py.typed").is_file()
    assert "def transposable_mask(" in (PACKAGE / "_core.pyi").read_text()


def test_nothing_else_is_there(distribution: importlib.metadata.Distribution) -> None:
    files = [Path(str(file)) for file in distribution.files or ()]
    inside = [file for file in files if ".." not in file.parts]
    assert {file.parts[0] for file in inside} <= FOLDERS
    assert {file.name for file in files if ".." in file.parts} <= {"tnm", "tnm.exe"}
    code = [file for file in inside if file.parts[0] in ("tnm_core", "tnm_command")]
    assert {file.suffix for file in code} <= SUFFIXES
    assert len([file for file in code if file.suffix in (".so", ".pyd")]) == 1


def test_licence_is_there(distribution: importlib.metadata.Distribution) -> None:
    (licence,) = [file for file in distribution.files or () if file.name == "LICENSE"]
    assert "Apache License" in licence.read_text()


def test_metadata_name_the_needs(distribution: importlib.metadata.Distribution) -> None:
    needs = [need for need in distribution.requires or () if "extra ==" not in need]
    assert [re.split(r"[^\w]", need)[0] for need in needs] == ["numpy"]
    assert distribution.metadata["Requires-Python"] == ">=3.10"
    named = dict(url.split(", ", 1) for url in distribution.metadata.get_all("Project-URL") or ())
    urls = PYPROJECT.partition("[project.urls]")[2].partition("\n[")[0]
    assert named == dict(re.findall(r'^(\w+) = "(.+)"$', urls, re.MULTILINE))


def test_build_info_says_what_a_report_needs() -> None:
    info = tnm.build_info()
    assert re.match(r"(GCC|Clang) \d+\.", str(info["compiler"]))
    assert info["instruction_set"] in info["instruction_sets"]  # type: ignore[operator]
    assert str(info["python"]).startswith(f"CPython {platform.python_version()}")
    assert info["numpy"] == np.__version__
    assert info["platform"] == platform.platform()
    assert int(info["threads"]) > 0  # type: ignore[arg-type]
