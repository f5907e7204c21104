"""tnm prune killed half-way: the target stays as it was."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.cli.conftest import Tnm, snapshot
from tests.support.interrupts import stop_half_way

# The third layer takes forever; the line tells the test that two are written.
STUCK = """
import sys, time
import tnm_core
from tnm_core.cli import main

solve, calls = tnm_core.transposable_mask, []

def slow(*args, **options):
    calls.append(1)
    if len(calls) == 3:
        print("half-way", flush=True)
        while True:  # one long sleep would miss a signal that comes just before it begins
            time.sleep(0.1)
    return solve(*args, **options)

tnm_core.transposable_mask = slow
main()
"""


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    path = tmp_path / "model.safetensors"
    tensors = {f"layer.{i}": rng.standard_normal((256, 256)).astype(np.float32) for i in range(5)}
    save_file(tensors, path)
    return path


@pytest.mark.parametrize("existing", [b"what was there before", None])
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["INT", "TERM", "HUP"],
)
def test_interrupt_leaves_nothing(
    weights: Path, tmp_path: Path, number: signal.Signals, status: int, existing: bytes | None
) -> None:
    out = tmp_path / "out.safetensors"
    if existing is not None:
        out.write_bytes(existing)
    before = snapshot(tmp_path)
    _, err, code = stop_half_way(STUCK, number, "prune", weights, "-o", out, "-p", "2:4", "--force")
    assert code == status
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert snapshot(tmp_path) == before


STUBBORN = STUCK.replace(
    "main()\n",
    """
import os, signal
unlink, number = os.unlink, int(sys.argv.pop())

def again(path):  # the signal comes again, and again, while files are removed
    for _ in range(3):
        os.kill(os.getpid(), number)
    unlink(path)

os.unlink = again
main()
""",
)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_repeated_signals_leave_nothing(
    weights: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    before = snapshot(tmp_path)
    out = tmp_path / "out.safetensors"
    options = ("-o", out, "-p", "2:4", int(number))
    _, err, code = stop_half_way(STUBBORN, number, "prune", weights, *options)
    assert code == status
    assert err.count("\n") == 1
    assert "no unfinished file is left" in err
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("in_place", [False, True])
def test_kill_leaves_the_target_whole(
    tnm: Tnm, weights: Path, tmp_path: Path, in_place: bool
) -> None:
    out = weights if in_place else tmp_path / "out.safetensors"
    if not in_place:
        out.write_bytes(b"what was there before")
    before = snapshot(tmp_path)
    *_, code = stop_half_way(
        STUCK, signal.SIGKILL, "prune", weights, "-o", out, "-p", "2:4", "--force"
    )
    assert code == -signal.SIGKILL
    after = snapshot(tmp_path)
    left = {name for name in after if name not in before}
    assert all(name.startswith(".") and name.endswith(".tmp") for name in left)
    assert {name: after[name] for name in before} == before
    assert left
    # The next run says what a killed one has left, and clears it away.
    result = tnm("prune", weights, "-o", out, "-p", "2:4", "--force")
    assert result.status == 0
    assert result.err.startswith("tnm: note: removed ")
    assert all(name in result.err for name in left)
    assert snapshot(tmp_path).keys() == before.keys() | {out.name}
    assert tnm("check", out).status == 0


def test_sharded_interrupt_removes_the_folder(weights: Path, tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    weight_map = {f"layer.{i}": weights.name for i in range(5)}
    index.write_text(json.dumps({"weight_map": weight_map}))
    before = snapshot(tmp_path)
    out = tmp_path / "out"
    *_, code = stop_half_way(STUCK, signal.SIGTERM, "prune", index, "-o", out, "-p", "2:4")
    assert code == 143
    assert snapshot(tmp_path) == before
