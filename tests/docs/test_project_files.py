"""What strangers look for says the same everywhere: addresses, versions, jobs, wheels."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import tnm_core
from tests.docs.documents import ROOT
from tests.support.wheels.environments import OLDEST_NUMPY

PYPROJECT = (ROOT / "pyproject.toml").read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXTS = {".cff", ".cmake", ".cpp", ".hpp", ".md", ".py", ".toml", ".txt", ".yml"}
REPOSITORY = re.search(r'^Repository = "(.+)"$', PYPROJECT, re.MULTILINE)


def _yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def test_addresses_come_from_one_place() -> None:
    assert REPOSITORY is not None
    owner, project = REPOSITORY[1].split("/")[-2:]
    site = f"https://{owner}.github.io/{project}/"
    urls = PYPROJECT.partition("[project.urls]")[2].partition("\n[")[0]
    for name, url in re.findall(r'^(\w+) = "(.+)"$', urls, re.MULTILINE):
        assert url.startswith(REPOSITORY[1]) or url == site, f"{name} is {url}"
    assert _yaml("CITATION.cff")["repository-code"] == REPOSITORY[1]
    assert "repo_url" not in _yaml("mkdocs.yml")  # docs/hooks/project.py sets it


def test_pictures_of_the_readme_show_everywhere() -> None:
    """An index shows the README, and has no files beside it."""
    assert REPOSITORY is not None
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert pictures
    for address in pictures:
        assert address.startswith(f"{REPOSITORY[1]}/raw/main/"), address
        assert (ROOT / address.removeprefix(f"{REPOSITORY[1]}/raw/main/")).is_file(), address


def test_every_page_has_a_place_on_the_site() -> None:
    placed = set(re.findall(r"([\w/-]+\.md)", str(_yaml("mkdocs.yml")["nav"])))
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert placed == pages


def test_version_stands_in_one_place() -> None:
    versions = re.findall(r'^version = "(.+)"$', PYPROJECT, re.MULTILINE)
    assert versions == [tnm_core.__version__]
    for name in ("CITATION.cff", "mkdocs.yml"):
        assert "version" not in _yaml(name), name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_runs_targets_that_exist(path: Any) -> None:
    workflow = yaml.safe_load(path.read_text())
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] > 0, name
        for step in job["steps"]:
            for target in re.findall(r"\bmake ([a-z][a-z0-9-]*)", step.get("run", "")):
                assert target in targets, f"{name}: make {target}"


def test_workflows_run_what_ci_runs() -> None:
    assert "make test docs\n" in (ROOT / ".ci" / "run").read_text()
    parts = re.search(r"^test: ([a-z0-9 -]+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert parts is not None
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    run = [*parts[1].split(), "docs"]
    assert [part for part in run if not re.search(rf"run: make {part}\s", text)] == []


def test_wheels_are_built_for_the_pythons_that_are_named() -> None:
    named = re.findall(r"Programming Language :: Python :: 3\.(\d+)", PYPROJECT)
    built = re.search(r'^build = "cp3\{([\d,]+)\}-\* cp314t-\*"$', PYPROJECT, re.MULTILINE)
    assert built is not None
    assert built[1].split(",") == named
    assert [str(minor) for minor in OLDEST_NUMPY] == named
    tested = _yaml(".github/workflows/ci.yml")["jobs"]["python"]["strategy"]["matrix"]["python"]
    assert tested == [f"3.{minor}" for minor in named]


def test_wheels_are_tested_where_they_are_made() -> None:
    """By the same tests that `make wheels` runs."""
    command = PYPROJECT.partition("test-command = ")[2]
    assert command.split()[3:5] == ["pytest", "tests/wheel"]
    jobs = _yaml(".github/workflows/wheels.yml")["jobs"]
    assert "make wheels" in [step.get("run") for step in jobs["sdist"]["steps"]]


@pytest.mark.parametrize("job", ["oldest", "wheels"])
def test_jobs_install_what_their_tests_import(job: str) -> None:
    """Jobs that do not install the extra `test` name each package."""
    if job == "oldest":
        steps = _yaml(".github/workflows/ci.yml")["jobs"][job]["steps"]
        installs, tests = (step["run"] for step in steps if "run" in step)
    else:
        installs = PYPROJECT.partition("\ntest-requires = ")[2].partition("\n")[0]
        tests = PYPROJECT.partition("test-command = ")[2].partition('\n"""')[0]
    folders, left_out = (
        re.findall(r"(?<!ignore )\btests/\w+", tests),
        re.findall(r"ignore (\S+)", tests),
    )
    assert "tests/masks" in folders
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    wanted = _packages({path for path in files if str(path.relative_to(ROOT)) not in left_out})
    assert wanted - {"numpy"} <= set(re.findall(r"\w+", installs))


def _packages(files: set[Path]) -> set[str]:
    """Name the packages that files of tests import, themselves or by others of the tests."""
    found: set[str] = set()
    seen: set[Path] = set()
    while files:
        path = files.pop()
        seen.add(path)
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                inside = ROOT.joinpath(*name.split("."))
                own = {inside.with_suffix(".py"), inside / "__init__.py"}
                files |= {one for one in own - seen if one.is_file()}
            found |= {name.partition(".")[0] for name in names}
    return found - set(sys.stdlib_module_names) - {"tests", "tnm_core", "bench"}


def test_free_threaded_python_is_told_of_where_the_module_declares_it() -> None:
    module = (ROOT / "cpp" / "bindings" / "module.cpp").read_text()
    limits = (ROOT / "docs" / "limits.md").read_text()
    assert "mod_gil_not_used()" in module
    assert "Free Threading ::" in PYPROJECT
    assert re.search(r"^\| free-threaded CPython .*\| wheels? ", limits, re.MULTILINE)


def test_nothing_else_names_the_owner_of_the_repository() -> None:
    """Who gives the project a home changes these files, and the tests above see that they agree."""
    assert REPOSITORY is not None
    owner = REPOSITORY[1].split("/")[-2]
    address = re.compile(rf"github\.com/{owner}\b|\b{owner}\.github\.io")
    folders = ("python", "cpp", "docs", "bench", "examples", ".github")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    files += [path for path in ROOT.iterdir() if path.is_file()]
    named = {
        str(path.relative_to(ROOT))
        for path in files
        if path.suffix in TEXTS or path.name == "Makefile"
        if address.search(path.read_text(encoding="utf-8"))
    }
    assert named == {"pyproject.toml", "CITATION.cff", "README.md"}
