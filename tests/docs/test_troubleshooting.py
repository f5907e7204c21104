"""What commands answer on the page of troubles is what they do answer."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import tnm_core
from tests.docs.documents import ROOT, Block, blocks
from tnm_core.cli.run import run

PAGE = ROOT / "docs" / "troubleshooting.md"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the files that the page names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    entries = np.arange(64 * 64, dtype=np.float32).reshape(64, 64)
    tensors = {
        "encoder.0.weight": entries,
        "encoder.1.weight": entries,
        "encoder.1.bias": entries[0],
    }
    save_file(tensors, "model.safetensors")
    save_file(tensors, "pruned.safetensors")
    rows = entries[:8, :8] + 1
    rows = rows * tnm_core.nm_mask(rows, 2, 4)
    save_file({"encoder.0.weight": rows}, "rowwise.safetensors")


@pytest.mark.parametrize("block", blocks("console", documents=[PAGE]), ids=str)
def test_answer(block: Block, folder: None, capsys: pytest.CaptureFixture[str]) -> None:
    command, _, answer = block.text.partition("\n")
    assert run(shlex.split(command.removeprefix("$ "))[1:]) in {1, 2}
    captured = capsys.readouterr()
    lines = (captured.out + captured.err).splitlines()
    assert " ".join(answer.split()) in lines  # long lines are broken on the page


def test_there_are_such_blocks() -> None:
    assert len(blocks("console", documents=[PAGE])) >= 5
