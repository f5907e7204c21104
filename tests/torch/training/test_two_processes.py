"""DistributedDataParallel, fully_shard and DTensors, in two processes that run all scenarios."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("two_processes.py")
ROOT = SCRIPT.parents[3]
SCENARIOS = [
    node.name
    for node in ast.parse(SCRIPT.read_text()).body
    if isinstance(node, ast.FunctionDef)
    and any(getattr(d, "id", "") == "scenario" for d in node.decorator_list)
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run all scenarios once: starting two processes takes longer than they do."""
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("this torch has no gloo")
    folder = tmp_path_factory.mktemp("two_processes")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder), str(rank)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=ROOT,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        told = [rank.communicate(timeout=120)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    (folder / "output").write_text("\n".join(told))
    return folder


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(results: Path, name: str) -> None:
    for rank in range(2):
        file = results / f"{name}.{rank}"
        assert file.exists(), f"rank {rank} ended before: {(results / 'output').read_text()}"
        assert file.read_text() == "ok"


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) > 8
