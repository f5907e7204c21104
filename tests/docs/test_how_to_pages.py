"""How-to pages run as they are written, each in one folder from its first block to its last.

Models are tiny and measuring is cut short; installing and downloading are left out. Calibration
takes the quickest recipe, for what the best one does is tested elsewhere.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from pathlib import Path

import matplotlib
import pytest

from tests.cli import language_models
from tests.docs.documents import ROOT, SHELL, Block, blocks, shell_lines
from tests.docs.small_clone import run_line, run_tnm, write_clone

AFTER_THE_DEMO = ("deploy-cpu.md", "allocate.md")
ALONE = ("count-masks.md", "train-from-scratch.md")
INSTALLING = ("make demo", ". .venv/bin/activate", "pip install", "mkdir -p models", "cp ")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    matplotlib.use("Agg")
    return tmp_path


def _run_page(page: str) -> str:
    """Run all blocks of a page, names of Python carried on; return what they print."""
    said: list[str] = []
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(*SHELL, "python", documents=[ROOT / "docs" / page]):
        if block.language == "python":
            said.append(_run_python(block, names))
        else:
            wanted = [one for one in shell_lines(block) if not one.startswith(INSTALLING)]
            said += [run_line(_quick(line)) for line in wanted]
    return "".join(said)


def _run_python(block: Block, names: dict[str, object]) -> str:
    code = compile("\n" * block.line + block.text, block.document, "exec")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, names)
    return out.getvalue()


def _quick(line: str) -> str:
    if "tnm calibrate" in line and "--recipe" not in line:
        return f"{line} --recipe magnitude"
    return line


def _write_demo(folder: Path) -> None:
    """Write what `make demo` leaves; tests/docs/test_demo_pages.py runs its own recipe."""
    demo = folder / "build" / "demo"
    write_clone(folder, demo / "minilm")
    lines = (folder / "examples" / "sentences.txt").read_text().splitlines(keepends=True)
    (demo / "calibration.txt").write_text("".join(lines[:32]))
    (demo / "others.txt").write_text("".join(lines[128:]))
    words = "prune build/demo/minilm -o build/demo/minilm-16-32 --pattern 16:32 --include encoder.*"
    run_tnm(words.split())


@pytest.mark.parametrize("page", AFTER_THE_DEMO)
def test_page_runs_after_the_demo(page: str, folder: Path) -> None:
    _write_demo(folder)
    said = _run_page(page)
    told = {
        "deploy-cpu.md": ("6 layers packed", "6 of 6 tensors obey transposable 16:32"),
        "allocate.md": ("tensors obey", "outputs moved by"),
    }
    assert [words for words in told[page] if words not in said] == []


@pytest.mark.parametrize("page", ALONE)
def test_page_runs_alone(page: str, folder: Path) -> None:
    said = _run_page(page)
    answers = "".join(block.text for block in blocks("text", documents=[ROOT / "docs" / page]))
    assert answers in said  # what the page shows is what is printed
    assert {"count-masks.md": "116963796250", "train-from-scratch.md": "dense 0."}[page] in said


def test_language_model_page_runs(folder: Path) -> None:
    """A directory stands in for the GGUF file, which tests/cli/calibration/test_gguf.py reads."""
    model = language_models.llama(
        hidden_size=64, intermediate_size=128, max_position_embeddings=512
    )
    language_models.save(model, folder / "models" / "smollm2.gguf")
    (folder / "examples").mkdir()
    text = language_models.write_text(folder / "examples" / "sentences.txt", 1890)
    assert len(text.read_text().splitlines()) == 189
    said = _run_page("language-model.md")
    assert re.search(r"(\d+) of \1 tensors obey transposable 16:32", said)
    assert "perplexity" in said
    assert "decode" in said


def test_every_how_to_page_is_run() -> None:
    """Pages of the section that are not named here run block by block, in tests/test_readme.py."""
    in_order = {*AFTER_THE_DEMO, *ALONE, "language-model.md"}
    for page in in_order:
        assert f"docs/{page}" in (ROOT / "tests" / "test_readme.py").read_text(), page
    assert shutil.which("head") is not None
