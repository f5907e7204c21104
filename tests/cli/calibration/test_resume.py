"""tnm calibrate --resume: an interrupted run goes on, with the result of one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.cli.calibration.user_file import write_user_file
from tests.cli.conftest import Result, Tnm, snapshot
from tests.support.interrupts import stop_half_way
from tnm_core.cli.calibration import KeptRun
from tnm_core.skip import SkipCode
from tnm_core.torch.calibrate import PrunedLayer, PruneStep

DEEP = """

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(16), nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, x):
        return x + self.down(torch.relu(self.up(self.norm(x))))

def deep():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 16), Block(), Block(), nn.Linear(16, 8))

def changed():
    torch.manual_seed(3)
    return deep()[:0].extend(nn.Linear(16, 16) for _ in range(2))

def others():
    return many()[:2]
"""

# Kills itself when the sixth step is written, but not yet under its name.
KILLED = """
import os, signal
from pathlib import Path
from tnm_core.cli import main

replace = Path.replace

def kill(path, target):
    if target.name == "000005.step":
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(path, target)

Path.replace = kill
main()
"""


@pytest.fixture(autouse=True)
def _imports_and_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    for name in [name for name in sys.modules if "user_code" in name]:
        del sys.modules[name]


@pytest.fixture
def command(tmp_path: Path) -> tuple[object, ...]:
    code = write_user_file(tmp_path)
    code.write_text(code.read_text() + DEEP)
    return ("calibrate", f"{code}:deep", f"{code}:many", "-p", "2:4", "--recipe", "sequential")


Stop = Callable[..., Result]


@pytest.fixture
def stop(tnm: Tnm, monkeypatch: pytest.MonkeyPatch) -> Stop:
    """Run a command that is interrupted when so many steps are kept."""

    def call(steps: int, *arguments: object) -> Result:
        keep = KeptRun.keep

        def interrupt(kept: KeptRun, number: int, step: PruneStep) -> None:
            keep(kept, number, step)
            if number + 1 == steps:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(KeptRun, "keep", interrupt)
            result = tnm(*arguments)
        assert result.status == 130
        return result

    return call


def _kept(out: Path) -> Path:
    return out.parent / f".{out.name}.tnm-resume"


def test_a_killed_run_goes_on_and_ends_as_another(tnm: Tnm, command: Any, tmp_path: Path) -> None:
    command = (*command[:-1], "tuned")
    out, whole = tmp_path / "out.safetensors", tmp_path / "whole.safetensors"
    assert tnm(*command, "-o", whole).status == 0
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    script = [sys.executable, "-c", KILLED, *map(str, command), "-o", str(out)]
    assert subprocess.run(script, env=environment, check=False).returncode == -signal.SIGKILL
    assert not out.exists()
    assert {path.name for path in _kept(out).iterdir()} == {
        "run.json", "000005.step.tmp", *(f"{step:06}.step" for step in range(5))
    }  # fmt: skip
    tnm(*command, "-o", out).assert_refused("an interrupted run left", "--resume continues")
    done = tnm(*command, "-o", out, "--resume", "--json")
    assert done.status == 0, done.err
    assert out.read_bytes() == whole.read_bytes()
    assert not _kept(out).exists()
    layers = [layer["name"] for layer in json.loads(done.out)["layers"]]
    assert layers == ["0", "1.up", "1.down", "2.up", "2.down", "3"]
    assert [block["name"] for block in json.loads(done.out)["tuned_blocks"]] == [*"0123"]


@pytest.mark.parametrize("steps", [1, 6])
def test_an_interrupted_run_goes_on_and_ends_as_another(
    tnm: Tnm, stop: Stop, command: Any, tmp_path: Path, steps: int
) -> None:
    out, whole = tmp_path / "out.safetensors", tmp_path / "whole.safetensors"
    assert tnm(*command, "-o", whole).status == 0
    stopped = stop(steps, *command, "-o", out)
    assert f"({steps} steps) is kept in {_kept(out)}" in stopped.err.splitlines()[-1]
    assert "--resume continues it" in stopped.err.splitlines()[-1]
    assert tnm(*command, "-o", out, "--resume").status == 0
    assert out.read_bytes() == whole.read_bytes()
    assert not _kept(out).exists()


def test_steps_that_are_kept_are_not_done_again(
    tnm: Tnm, stop: Stop, command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tnm_core.torch.calibrate.model import prune_layers

    out = tmp_path / "out.safetensors"
    stop(3, *command, "-o", out)
    done: list[str] = []
    prune = prune_layers.prune_group_

    def spy(collector: Any, group: Any, *rest: Any) -> Any:
        done.extend(group.names)
        return prune(collector, group, *rest)

    monkeypatch.setattr(prune_layers, "prune_group_", spy)
    assert tnm(*command, "-o", out, "--resume").status == 0
    assert done == ["2.up", "2.down", "3"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("-p", "1:4"), "the options"),
        (("--exclude", "0"), "the options"),
        (("data",), "the batches"),
        (("model",), "the model"),
    ],
)
def test_other_inputs_are_refused(
    tnm: Tnm, stop: Stop, command: Any, tmp_path: Path, change: Any, told: str
) -> None:
    out = tmp_path / "out.safetensors"
    stop(2, *command, "-o", out)
    before = snapshot(_kept(out))
    changed = list(command)
    if change == ("data",):
        changed[2] = changed[2].replace("many", "others")
    elif change == ("model",):
        changed[1] = changed[1].replace("deep", "changed")
    else:
        changed += change
    result = tnm(*changed, "-o", out, "--resume", "--force")
    result.assert_refused_at_the_end("cannot resume", told, "remove that folder")
    assert snapshot(_kept(out)) == before


def test_leftovers_are_named_and_replaced_by_force(
    tnm: Tnm, stop: Stop, command: Any, tmp_path: Path
) -> None:
    out, whole = tmp_path / "out.safetensors", tmp_path / "whole.safetensors"
    said = tnm(*command, "-o", whole, "--resume").said
    assert "there is no" in said
    stop(3, *command, "-o", out)
    result = tnm(*command, "-o", out, "--force")
    assert result.status == 0
    assert "which an interrupted run left, is replaced" in result.said
    assert out.read_bytes() == whole.read_bytes()
    assert not _kept(out).exists()


def test_damaged_steps_are_done_again(tnm: Tnm, stop: Stop, command: Any, tmp_path: Path) -> None:
    out, whole = tmp_path / "out.safetensors", tmp_path / "whole.safetensors"
    assert tnm(*command, "-o", whole).status == 0
    stop(4, *command, "-o", out)
    (_kept(out) / "000002.step").write_bytes(b"what a failing disk leaves")
    result = tnm(*command, "-o", out, "--resume", "--force")
    assert result.status == 0
    assert "cannot read" in result.said
    assert out.read_bytes() == whole.read_bytes()
    stop(2, *command, "-o", whole, "--force")
    (_kept(whole) / "run.json").write_text("{")
    result = tnm(*command, "-o", whole, "--resume", "--force")
    result.assert_refused_at_the_end("cannot resume", "run.json")


def test_what_cannot_be_kept_is_said_and_the_run_goes_on(
    tnm: Tnm, command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tnm_core.cli.calibration.kept_run as kept_run

    def full(record: Any, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_run.torch, "save", full)
    out = tmp_path / "out.safetensors"
    result = tnm(*command, "-o", out)
    assert result.status == 0
    assert result.said.count("cannot keep what is done") == 1
    assert "No space left on device" in result.said
    assert not _kept(out).exists()


def test_a_failure_leaves_nothing(
    tnm: Tnm, command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same inputs would fail again."""
    from tnm_core.torch.calibrate.model import prune_layers

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("no luck")

    monkeypatch.setattr(prune_layers, "correct_batch_norm_", fail)
    out = tmp_path / "out.safetensors"
    tnm(*command, "-o", out).assert_refused_at_the_end("no luck")
    assert not _kept(out).exists()


def test_interrupt_while_writing_keeps_what_is_done(command: Any, tmp_path: Path) -> None:
    script = """
import sys, time
import tnm_core.cli.calibration.state_dict as state_dict

def slow(*_):
    print("half-way", file=sys.__stdout__, flush=True)
    while True:
        time.sleep(0.1)

state_dict.write_header = slow
from tnm_core.cli import main
main()
"""
    out = tmp_path / "out.safetensors"
    _, err, status = stop_half_way(script, signal.SIGINT, *command, "-o", out)
    assert status == 130
    assert "6 steps" in err.splitlines()[-1]
    assert "--resume continues it" in err.splitlines()[-1]
    assert _kept(out).is_dir()
    assert not out.exists()


def test_remarks_are_kept(tmp_path: Path) -> None:
    kept = KeptRun(tmp_path / "out", print)
    kept.begin({"the model": "a"}, resume=False)
    remark = SkipCode.UNPAIRED(step="slice")
    layer = PrunedLayer("a", "Linear", (4, 4), "2:4", None, 0.1, 0.7, 0.5, 1.0, remark)
    step = PruneStep({"a.weight": torch.ones(4, 4)}, (layer,), {"a": torch.ones(4, 4) > 0}, (),
                     {"b": SkipCode.NOT_TUNED(step="sort")})  # fmt: skip
    kept.keep(0, step)
    again = KeptRun(tmp_path / "out", print)
    again.begin({"the model": "a"}, resume=True)
    found = again.recall(0)
    assert found is not None
    assert found.layers == step.layers
    assert found.untuned == step.untuned
    assert torch.equal(found.masks["a"], step.masks["a"])
    assert again.recall(1) is None
    (kept.folder / "of somebody else").write_text("x")
    again.remove()
    assert [path.name for path in kept.folder.iterdir()] == ["of somebody else"]
