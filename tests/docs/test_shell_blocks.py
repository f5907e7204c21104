"""Targets of make, extras, scripts and variables that the documents name exist."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.documents import DOCUMENTS, ROOT, commands

MAKEFILE = (ROOT / "Makefile").read_text()
PYPROJECT = (ROOT / "pyproject.toml").read_text()


def test_targets_and_variables_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE))
    named = commands("make")
    assert len(named) >= 3
    for block, words in named:
        for word in words[1:]:
            variable = re.match(r"([A-Z]+)=", word)
            known = variable is None or re.search(rf"\b{variable[1]}\b", MAKEFILE)
            assert known if variable else word in targets, f"{block}: make {word}"


def test_extras_exist() -> None:
    extras = PYPROJECT.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    known = set(re.findall(r"^(\w+) = \[", extras, re.MULTILINE))
    assert "torch" in known
    for document in DOCUMENTS:
        for listed in re.findall(r"(?:tnm_core|'\.|\"\.)\[([\w,]+)\]", document.read_text()):
            assert set(listed.split(",")) <= known, f"{document.name}: [{listed}]"


def test_extras_of_errors_exist() -> None:
    """And no text names an index, which does not have the package."""
    known = set(re.findall(r"^(\w+) = \[", PYPROJECT, re.MULTILINE))
    code = [path for top in ("python", "bench") for path in (ROOT / top).rglob("*.py")]
    named = set()
    for path in [*code, *DOCUMENTS]:
        text = path.read_text()
        assert not re.search(r"pip install [\"']?tnm_core", text), path
        named |= set(re.findall(r"how_to_install\(['\"](\w+)", text))
    assert {"cli", "torch", "gguf"} <= named <= known


def test_scripts_and_modules_exist() -> None:
    named = commands("python") + commands("python3")
    assert named
    for block, words in named:
        if words[1] == "-m" and words[2].split(".")[0] in {"bench", "tests", "tnm_core"}:
            path = Path(*words[2].split("."))
            found = [ROOT / top / path for top in ("", "python")]
            assert any(one.with_suffix(".py").exists() or one.is_dir() for one in found), block
        elif words[1].endswith(".py"):
            assert (ROOT / words[1]).exists(), f"{block}: {words[1]}"


def test_variables_that_the_code_reads_are_documented() -> None:
    page = (ROOT / "docs" / "environment.md").read_text()
    read = set()
    for path in [*(ROOT / "python").rglob("*.py"), *(ROOT / "cpp" / "src").rglob("*.cpp")]:
        text = path.read_text()
        read |= set(re.findall(r'(?:environ(?:\.get\(|\[)|getenv\()"(\w+)"', text))
    assert {"TNM_FORCE_ISA", "COLUMNS"} <= read
    assert [name for name in sorted(read) if f"`{name}" not in page] == []
