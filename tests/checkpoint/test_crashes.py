"""A run that dies, or is refused, at any call that changes files: old or new, never a mix."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tests.support.crashes import at_call, killed_at, refuse
from tnm_core.checkpoint import (
    CheckpointError,
    LeftoverWarning,
    PruneRecord,
    finish_stopped_run,
    open_checkpoint,
    save_masks,
)

SHARDS = 2
NAMES = tuple(f"w{number}" for number in range(SHARDS))
INDEX = "model.safetensors.index.json"
RECORD = PruneRecord("2:4", "optimal", "abs", "1.2.3", NAMES)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are killed in a fork")


@pytest.fixture(autouse=True)
def _no_real_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count calls of fsync without waiting for the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def _dense(seed: int) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(1, 2, (8, 8)).astype(np.float32) for name in NAMES}


def _save(folder: Path, tensors: dict[str, NDArray[Any]], sharded: bool) -> Path:
    folder.mkdir(exist_ok=True)
    if not sharded:
        save_file(tensors, folder / "model.safetensors")
        return folder / "model.safetensors"
    weight_map = {name: f"model-{name}.safetensors" for name in tensors}
    for name, shard in weight_map.items():
        save_file({name: tensors[name]}, folder / shard)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder / INDEX


class Scene(NamedTuple):
    """A run from a source to a target; what the target may hold before and after."""

    folder: Path
    source: Path
    target: Path
    old: dict[str, NDArray[Any]] | None
    new: dict[str, NDArray[Any]]

    def run(self) -> None:
        finish_stopped_run(self.target if self.target.is_dir() else self.target.parent)
        with open_checkpoint(self.source) as checkpoint:
            checkpoint.rewrite(
                self.target, RECORD, lambda info: [_zero_first_row(checkpoint.read(info.name))]
            )

    def found(self) -> str:
        """Say what the target holds, as any reader would see it."""
        if not self.target.exists():
            return "nothing"
        try:
            with open_checkpoint(self.target) as checkpoint:
                held = {name: checkpoint.read(name) for name in checkpoint.tensors}
        except CheckpointError:
            return "refused"
        for word, expected in (("old", self.old), ("new", self.new)):
            if expected is not None and _equal(held, expected):
                return word
        return "a mix"

    def hidden(self) -> list[str]:
        return [str(path) for path in self.folder.rglob(".*")]

    def finish(self) -> list[str]:
        """Run again, undisturbed; what the run tells of leftovers."""
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            self.run()
        assert {one.category for one in told} <= {LeftoverWarning}
        assert self.found() == "new"
        assert self.hidden() == []
        return [str(one.message) for one in told]


def _equal(left: dict[str, NDArray[Any]], right: dict[str, NDArray[Any]]) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[k], right[k]) for k in left)


def _zero_first_row(array: NDArray[Any]) -> NDArray[Any]:
    array[0] = 0
    return array


def _told(job: Callable[[], None]) -> str | None:
    try:
        job()
    except CheckpointError as error:
        return str(error)
    return None


def _scene(folder: Path, kind: str) -> Scene:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    dense, other = _dense(0), _dense(1)
    new = {name: _zero_first_row(array.copy()) for name, array in dense.items()}
    source = _save(folder / "in", dense, "shard" in kind)
    if kind == "new file":
        return Scene(folder, source, folder / "out.safetensors", None, new)
    if kind == "file that exists":
        return Scene(folder, source, _save(folder / "out", other, False), other, new)
    if kind == "shards to a new folder":
        return Scene(folder, source.parent, folder / "out", None, new)
    if kind == "shards over others":
        return Scene(folder, source.parent, _save(folder / "out", other, True).parent, other, new)
    return Scene(folder, source.parent, source.parent, dense, new)


KINDS = (
    "new file",
    "file that exists",
    "shards to a new folder",
    "shards over others",
    "shards in place",
)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_any_call(tmp_path: Path, kind: str) -> None:
    seen: list[str] = []
    for number in range(1, 200):
        scene = _scene(tmp_path / "scene", kind)
        before = scene.found()
        if not killed_at(number, scene.run):
            break
        found = scene.found()
        seen.append(found)
        assert found in {before, "new", "refused"}, (number, found)
        assert "refused" not in found or "shards" in kind
        left = scene.hidden()
        told = scene.finish()
        assert bool(told) == bool(left), (number, left, told)
    else:
        pytest.fail("the run makes calls without end")
    assert len(seen) >= 5
    assert seen[0] != "new"  # it got worse only once, and better only once
    assert scene.found() == "new"


@pytest.mark.parametrize("kind", KINDS)
def test_refused_at_any_call(tmp_path: Path, kind: str) -> None:
    for number in range(1, 200):
        scene = _scene(tmp_path / "scene", kind)
        before = scene.found()
        with at_call(number, refuse) as seen:
            told = _told(scene.run)
        assert told is None or str(scene.folder) in told
        assert told is None or re.search("no space left|cannot remove", told)
        if len(seen) < number:
            break
        assert scene.found() in {before, "new", "refused"}, (number, seen)
        if scene.found() == before:
            assert scene.hidden() == [] or "unlink" in seen[number - 1], (number, seen)
        scene.finish()
    else:
        pytest.fail("the run makes calls without end")


def test_a_mix_of_runs_is_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for target in (first, second):
        scene = _scene(tmp_path / "scene", "shards to a new folder")
        scene._replace(target=target).run()
    shard = f"model-{NAMES[1]}.safetensors"
    shutil.copy(first / shard, second / shard)
    with pytest.raises(CheckpointError, match=f"{shard} is of the run .* do not belong together"):
        open_checkpoint(second)
    shutil.copy(scene.source / shard, second / shard)
    with pytest.raises(CheckpointError, match="is of no run of tnm prune"):
        open_checkpoint(second)
    shutil.copy(scene.source / INDEX, first / INDEX)
    with pytest.raises(CheckpointError, match=f"the index {INDEX} of no run"):
        open_checkpoint(first / INDEX)


def test_masks_that_the_disk_refuses(tmp_path: Path) -> None:
    path = tmp_path / "masks.safetensors"
    for number in range(1, 100):
        with at_call(number, refuse) as seen:
            told = _told(lambda: save_masks(path, {"w": np.ones((4, 4), bool)}))
        if told is not None and "cannot remove" not in told:
            assert f"cannot write {path}: no space left" in told
            assert list(tmp_path.iterdir()) == []
        if len(seen) < number:
            break
        for left in tmp_path.iterdir():
            left.unlink()
    assert number > 3
