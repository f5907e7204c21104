"""What commands write: to links, beside other runs, after killed ones, in mixed folders."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import tnm_core
from tests.cli.conftest import Tnm, snapshot

INDEX = "model.safetensors.index.json"


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    folder = tmp_path / "dense"
    folder.mkdir()
    rng = np.random.default_rng(7)
    weight_map = {}
    for number in range(2):
        name = f"layers.{number}.up.weight"
        weight_map[name] = f"model-{number}.safetensors"
        weight = rng.standard_normal((16, 16)).astype(np.float32)
        save_file({name: weight}, folder / weight_map[name])
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


def test_shards_of_two_runs_are_refused(tnm: Tnm, sharded: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for out in (first, second):
        assert tnm("prune", sharded, "-o", out, "-p", "2:4").status == 0
        assert tnm("check", out).status == 0
    shutil.copy(first / "model-0.safetensors", second)
    for command in (("check", second), ("inspect", second), ("check", second / INDEX)):
        tnm(*command).assert_refused("model-0.safetensors", "do not belong together")
    options = ("-o", tmp_path / "third", "-p", "1:4")
    tnm("prune", second, *options).assert_refused("do not belong together")


def test_force_on_a_link_replaces_what_it_leads_to(tnm: Tnm, model: Path, tmp_path: Path) -> None:
    real, link = tmp_path / "real.safetensors", tmp_path / "link.safetensors"
    shutil.copy(model, real)
    link.symlink_to(real.name)
    tnm("prune", model, "-o", link, "-p", "2:4").assert_refused("exists already")
    assert tnm("prune", model, "-o", link, "-p", "2:4", "--force").status == 0
    assert link.is_symlink()
    assert not real.is_symlink()
    assert tnm("check", real).status == 0


def test_two_runs_to_one_target(
    tnm: Tnm, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins while the first is in the middle of its work."""
    out, began, go_on = tmp_path / "out.safetensors", threading.Event(), threading.Event()
    solve = tnm_core.transposable_mask

    def slow(*arguments: Any, **options: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            began.set()
            assert go_on.wait(60)
        return solve(*arguments, **options)

    def first() -> None:
        with_api.append(_prune(model, out))

    with_api: list[bool] = []
    monkeypatch.setattr(tnm_core, "transposable_mask", slow)
    thread = threading.Thread(target=first)
    thread.start()
    assert began.wait(60)
    tnm("prune", model, "-o", out, "-p", "2:4").assert_refused(str(out), "another run is writing")
    go_on.set()
    thread.join()
    assert with_api == [True]
    assert sorted(path.name for path in tmp_path.iterdir()) == [model.name, out.name]
    tnm("prune", model, "-o", out, "-p", "2:4").assert_refused("exists already")


def _prune(source: Path, out: Path) -> bool:
    from tnm_core.checkpoint import PruneRecord, open_checkpoint

    name = "blocks.0.up.weight"
    record = PruneRecord("2:4", "optimal", "abs", "0", (name,))
    with open_checkpoint(source) as checkpoint:

        def masked(info: Any) -> list[Any]:
            weight = checkpoint.read(info.name)
            return [weight * tnm_core.transposable_mask(weight, "2:4")]

        checkpoint.rewrite(out, record, masked)
    return out.exists()


def test_a_run_stopped_between_renames(tnm: Tnm, sharded: Path, tmp_path: Path) -> None:
    """What kill -9 leaves just after the first rename is refused, then finished by the next run."""
    out, other = tmp_path / "out", tmp_path / "other"
    for folder, pattern in ((out, "1:4"), (other, "2:4")):
        assert tnm("prune", sharded, "-o", folder, "-p", pattern).status == 0
    renames = []
    for name in ("model-0.safetensors", "model-1.safetensors", INDEX):
        renames.append((f".{name}.0123456789ab.tmp", name))
        shutil.copy(other / name, out / renames[-1][0])
    (out / f".{INDEX}.0123456789ab.commit").write_text(json.dumps({"renames": renames}))
    (out / INDEX).unlink()
    (out / renames[0][0]).replace(out / "model-0.safetensors")
    tnm("check", out).assert_refused(str(out), "stopped while it replaced files")
    result = tnm("prune", out, "-o", out, "-p", "2:4", "--force")
    assert result.status == 0
    assert result.err.startswith("tnm: note: finished a run that was killed")
    assert list(out.glob(".*")) == []
    assert tnm("check", out, "-p", "2:4").status == 0


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[",
        '{"renames": [[".a.0123456789ab.tmp", "../a"], [".b.0123456789ab.tmp", "b"]]}',
        '{"renames": [["/etc/passwd", "a"], [".b.0123456789ab.tmp", "b"]]}',
        '{"renames": [["precious", "a"], [".b.0123456789ab.tmp", "b"]]}',
        '{"renames": [[".a.0123456789ab.tmp", "a"]]}',
    ],
)
def test_a_journal_of_a_stranger(tnm: Tnm, sharded: Path, tmp_path: Path, text: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("precious", "b", ".b.0123456789ab.tmp"):
        (out / name).write_text(name)
    (out / ".b.0123456789ab.commit").write_text(text)
    before = snapshot(tmp_path)
    result = tnm("prune", sharded, "-o", out, "-p", "2:4", "--force")
    result.assert_refused(".b.0123456789ab.commit", "is damaged")
    assert snapshot(tmp_path) == before
