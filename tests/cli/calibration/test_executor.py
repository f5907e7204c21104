"""tnm calibrate --executor: workers solve layers, and an interruption of theirs is resumed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calibration.user_file import write_user_file
from tests.cli.conftest import Tnm
from tnm_core.cli import executors
from tnm_core.scale import workers


@pytest.fixture(autouse=True)
def _imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name in [name for name in sys.modules if "user_code" in name]:
        del sys.modules[name]


class _Dropping(ThreadPoolExecutor):
    """Takes a task, then its scheduler is gone."""

    taken = 0

    def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
        self.taken += 1
        if self.taken == 1:
            return super().submit(*arguments, **options)
        future: Future[Any] = Future()
        future.cancel()
        return future


def test_workers_write_the_same_and_a_lost_cluster_is_resumed(
    tnm: Tnm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = write_user_file(tmp_path)
    here, there = tmp_path / "here.safetensors", tmp_path / "there.safetensors"
    command = ("calibrate", f"{code}:model", f"{code}:many", "-p", "2:4", "--recipe", "wanda")
    assert tnm(*command, "-o", here).status == 0
    monkeypatch.setattr(executors, "process_pool", _Dropping)
    monkeypatch.setattr(workers, "_PATIENCE", 0.01)
    options = ("-o", there, "--executor", "processes", "--workers", "1")
    result = tnm(*command, *options)
    assert result.status == 2
    assert "the executor dropped tasks" in result.err
    assert "the same command with --resume continues it" in result.err
    monkeypatch.setattr(executors, "process_pool", ThreadPoolExecutor)
    result = tnm(*command, *options, "--resume")
    assert result.status == 0, result.err
    assert here.read_bytes() == there.read_bytes()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
