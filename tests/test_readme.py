"""Every example of the documents runs as it is written."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import tnm_core
from tests.docs.documents import DOCUMENTS, ROOT, Block, blocks, commands

# Blocks of these build on each other: tests/docs/test_tutorial.py, tests/docs/test_how_to_pages.py
IN_ORDER = {
    "docs/tutorial.md",
    "docs/allocate.md",
    "docs/count-masks.md",
    "docs/deploy-cpu.md",
    "docs/language-model.md",
    "docs/train-from-scratch.md",
}
SESSION = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def _python_blocks() -> list[Block]:
    return [block for block in blocks("python") if block.document not in IN_ORDER]


@pytest.mark.parametrize("block", _python_blocks(), ids=str)
def test_python_block_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if ">>>" in block.text:
        _run_session(block)
        return
    # Padding makes tracebacks point at the line of the document.
    code = compile("\n" * block.line + block.text, block.document, "exec")
    exec(code, {"__name__": "__main__"})


def _run_session(block: Block) -> None:
    examples = doctest.DocTestParser().get_doctest(
        block.text, {}, block.document, block.document, block.line
    )
    results = doctest.DocTestRunner(optionflags=SESSION).run(examples)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("block", blocks("cpp"), ids=str)
def test_cpp_block_compiles(block: Block, tmp_path: Path) -> None:
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        pytest.skip("no C++ compiler")
    source = tmp_path / "block.cpp"
    source.write_text(block.text)
    options = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    command = [compiler, *options, "-I", str(ROOT / "cpp" / "include"), str(source)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


def test_readme_has_a_python_example() -> None:
    assert any(block.document == "README.md" for block in blocks("python"))


@pytest.mark.parametrize(("block", "words"), commands("tnm"), ids=lambda value: str(value)[:60])
def test_command_and_its_options_exist(block: Block, words: list[str]) -> None:
    import typer

    from tnm_core.cli.app import app

    command, name = typer.main.get_command(app), "tnm"
    for word in words[1:]:
        if word.startswith("-") or not hasattr(command, "commands"):
            break
        assert word in command.commands, f"{block}: {name} has no command {word!r}"
        command, name = command.commands[word], f"{name} {word}"
    known = {option for parameter in command.params for option in parameter.opts}
    known |= {"--help", "--install-completion", "--show-completion"}
    for word in words[1:]:
        option = word.split("=")[0]
        if re.fullmatch(r"--?[a-zA-Z][\w-]*", option):
            assert option in known, f"{block}: {name} has no option {option}"


def test_local_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
            if "://" not in target and not target.startswith("mailto:"):
                assert (document.parent / target).exists(), f"{document.name} links to {target}"


MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(tnm_core.__path__, "tnm_core.")
    if not re.search(r"\.(torch|cli|plots|_core)\b|__main__", module.name)
)


@pytest.mark.parametrize("name", ["tnm_core", *MODULES])
def test_docstring_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0
