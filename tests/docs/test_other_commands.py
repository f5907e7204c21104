"""Commands of pages that are no how-to run as they are written, with small files in their places.

What the page makes itself is made by its own blocks; what it takes from the reader is written here.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.cli import image_models, language_models
from tests.docs.documents import ROOT, SHELL, Block, blocks, shell_lines, words_of
from tests.docs.small_clone import run_line, run_tnm, write_clone

LEFT_OUT = {
    "tnm --install-completion": "writes to the shell's own files",
    "tnm diversity 14:28": "two minutes",
    "tnm diversity 16:32": "an hour and a half",
    "tnm bench linear --shape 4096x4096": "for a GPU, minutes elsewhere",
    "make ": "tests/docs/test_shell_blocks.py",
    "pip install ": "installs",
    "python examples/": "tests/examples",
}


def _write_weights() -> None:
    entries = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    save_file({"encoder.0.weight": entries, "encoder.0.bias": entries[0]}, "model.safetensors")


def _write_pruned() -> None:
    _write_weights()
    run_tnm(["prune", "model.safetensors", "-o", "pruned.safetensors", "--pattern", "2:4"])
    write_clone(Path(), Path("models/dense"))
    run_tnm(["prune", "models/dense", "-o", "models/pruned", "--pattern", "2:4"])


def _write_directory() -> None:
    write_clone(Path(), Path("model"))


def _write_models() -> None:
    write_clone(Path(), Path("models/minilm"))
    text = Path("examples/sentences.txt").read_text()
    for name in ("sentences.txt", "others.txt"):
        Path(name).write_text(text)


def _write_image_models() -> None:
    """Large enough for tiles of 32, and for something to gain by packing."""
    vit = image_models.vit(hidden_size=64, intermediate_size=128)
    image_models.save_with_processor(vit, Path("models/vit"))
    image_models.save_with_processor(image_models.mobilenet(), Path("models/mobilenet"))
    for folder in ("photographs", "others"):
        image_models.write_images(Path(folder))


def _write_models_and_code() -> None:
    _write_models()
    _write_image_models()
    options = {"hidden_size": 64, "intermediate_size": 64, "max_position_embeddings": 1024}
    language_models.save(language_models.llama(**options), Path("models/smollm2.gguf"))
    language_models.write_text(Path("news.txt"), 1200)
    language_models.write_text(Path("others.txt"), 2400)
    (code,) = (
        block.text
        for block in blocks("python", documents=[ROOT / "docs" / "post-training.md"])
        if block.text.startswith("# my_model.py")
    )
    Path("my_model.py").write_text(code)


PAGES: dict[str, Callable[[], None]] = {
    "checkpoints.md": _write_directory,
    "command-line.md": _write_weights,
    "diversity.md": lambda: None,
    "environment.md": _write_weights,
    "formats.md": _write_pruned,
    "post-training.md": _write_models_and_code,
    "sparse-linear.md": _write_models,
}


@pytest.mark.parametrize("page", PAGES)
def test_commands_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    matplotlib.use("Agg")
    PAGES[page]()
    ran = 0
    for block in blocks(*SHELL, "python", documents=[ROOT / "docs" / page]):
        if block.language == "python":
            _run_if_it_writes(block)
        else:
            wanted = [line for line in shell_lines(block) if not line.startswith((*LEFT_OUT,))]
            for line in wanted:
                run_line(_quick(line))
            ran += len(wanted)
    assert ran >= 1


def _run_if_it_writes(block: Block) -> None:
    """Run a block that makes a file which a command of the page takes."""
    if re.search(r'torch\.save\(.*"model\.pt"', block.text):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(block.text, block.document, "exec"), {"__name__": "__main__"})


def _quick(line: str) -> str:
    if "tnm calibrate" in line and "--recipe" not in line:
        line += " --recipe magnitude"
    return f"{line} --seconds 0.001" if "tnm bench linear" in line else line


def test_fine_tuning_runs_after_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clone(tmp_path, Path("build/demo/minilm"))
    (line,) = (
        line
        for block in blocks(*SHELL, documents=[ROOT / "docs" / "fine-tuning.md"])
        for line in shell_lines(block)
        if line.startswith("python examples/")
    )
    program, *arguments = words_of(line)[1:]
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.setattr(sys, "argv", [program, *arguments, "--steps", "2", "--pattern", "2:4"])
    with contextlib.redirect_stdout(io.StringIO()) as out:
        runpy.run_path(str(ROOT / program), run_name="__main__")
    assert "zeros in the pruned layers 0.500" in out.getvalue()
    assert (tmp_path / arguments[-1] / "model.safetensors").is_file()


def test_every_page_with_commands_is_run_somewhere() -> None:
    """A page that is named in no test of this folder would have commands that nobody runs."""
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    pages = {
        Path(block.document).name
        for block in blocks(*SHELL)
        if any(re.match(r"(?:\w+=\S+ )*tnm ", line) for line in shell_lines(block))
    }
    known = {"CONTRIBUTING.md", "installation.md"}  # tnm --version
    assert [page for page in sorted(pages - known) if page not in tests] == []
