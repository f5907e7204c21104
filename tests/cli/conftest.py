"""Run the command line in this process, on real files in a folder of the test's own."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tnm_core.cli.run import run


@dataclass
class Result:
    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """What is on stderr beside progress, which is lines that begin with a time."""
        lines = self.err.splitlines(keepends=True)
        return "".join(line for line in lines if re.match(r"tnm: \d+:\d\d ", line) is None)

    def assert_refused(self, *words: str) -> None:
        """Status 2 and one line on stderr that holds the words, without a traceback."""
        assert len(self.said.splitlines()) == 1, self.err
        self.assert_refused_at_the_end(*words)

    def assert_refused_at_the_end(self, *words: str) -> None:
        """The same, after what others may have printed on stderr."""
        assert self.status == 2, (self.out, self.err)
        assert self.out == ""
        last = self.err.splitlines()[-1]
        assert last.startswith("tnm: ")
        assert "Traceback" not in self.err
        for word in words:
            assert word in last, (word, last)


Tnm = Callable[..., Result]


@pytest.fixture(autouse=True)
def _no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are as long as they are, whatever the terminal of those who run the tests."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread of torch, no network, and no path of imports that outlives the test."""
    import torch

    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tnm(capsys: pytest.CaptureFixture[str]) -> Tnm:
    def call(*arguments: object) -> Result:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return call


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder: what must not change."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small checkpoint: linear layers, a convolution, and things to leave alone."""
    rng = np.random.default_rng(7)
    path = tmp_path / "model.safetensors"
    tensors = {
        "blocks.0.up.weight": rng.standard_normal((24, 16)).astype(np.float32),
        "blocks.0.up.bias": rng.standard_normal(24).astype(np.float32),
        "blocks.0.down.weight": rng.standard_normal((16, 24)).astype(np.float32),
        "blocks.1.conv.weight": rng.standard_normal((16, 12, 3, 3)).astype(np.float32),
        "embed_tokens.weight": rng.standard_normal((32, 16)).astype(np.float32),
        "final_norm.weight": rng.standard_normal((8, 8)).astype(np.float32),
        "lm_head.weight": rng.standard_normal((32, 16)).astype(np.float32),
        "steps": np.arange(64).reshape(8, 8),
        "tiny.weight": rng.standard_normal((3, 16)).astype(np.float32),
        "stack": rng.standard_normal((8, 8, 4)).astype(np.float32),
    }
    save_file(tensors, path, metadata={"format": "pt"})
    return path


def most_kept(support: np.ndarray, m: int) -> tuple[int, int]:
    """The most kept entries of any group of m in a row, and of any in a column."""
    rows, columns = support.shape
    along_rows = max(support[i, j : j + m].sum() for i in range(rows) for j in range(0, columns, m))
    along_columns = max(
        support[i : i + m, j].sum() for i in range(0, rows, m) for j in range(columns)
    )
    return int(along_rows), int(along_columns)


def keeps_exactly(support: np.ndarray, n: int, m: int) -> bool:
    """Whether every m x m tile of a matrix that divides keeps n in each row and column."""
    rows, columns = support.shape
    tiles = support.reshape(rows // m, m, columns // m, m)
    return bool((tiles.sum(axis=1) == n).all() and (tiles.sum(axis=3) == n).all())
