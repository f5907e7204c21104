"""tnm prune by tasks: workers make what one process makes, and what is done is not done again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.cli.conftest import Tnm, snapshot
from tnm_core.checkpoint import CheckpointError, open_checkpoint, try_lock
from tnm_core.cli import prune_checkpoint
from tnm_core.cli.pruning import job, matrix_axes
from tnm_core.cli.pruning.bands import cut_tasks, tasks
from tnm_core.scale import Workers, WorkersWarning, process_pool


@pytest.fixture
def small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_axes, "_PANEL_ENTRIES", 1 << 10)
    monkeypatch.setattr(cut_tasks, "_ENTRIES", 1 << 11)
    monkeypatch.setattr(cut_tasks, "_COPIED_BYTES", 1 << 11)


def _tensors() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(11)
    wide, half, brain = np.float32, np.float16, ml_dtypes.bfloat16
    return {
        "a.weight": rng.standard_normal((66, 130)).astype(wide),
        "a.bias": rng.standard_normal(7).astype(wide),
        "b.weight": rng.standard_normal((128, 64)).astype(brain),
        "conv.weight": rng.standard_normal((12, 9, 3, 3)).astype(half),
        "embed_tokens.weight": rng.standard_normal((100, 10)).astype(wide),
        "experts.gate_up_proj": rng.standard_normal((5, 33, 17)).astype(half),
        "norm.weight": rng.standard_normal(8).astype(wide),
    }


@pytest.fixture
def single(tmp_path: Path) -> Path:
    save_file(_tensors(), tmp_path / "model.safetensors", metadata={"format": "pt"})
    return tmp_path / "model.safetensors"


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    files: dict[str, dict[str, Any]] = {"x.safetensors": {}, "y.safetensors": {}}
    for number, (name, tensor) in enumerate(_tensors().items()):
        files[f"{'xy'[number % 2]}.safetensors"][name] = tensor
    for name, tensors in files.items():
        save_file(tensors, folder / name)
    weight_map = {key: name for name, tensors in files.items() for key in tensors}
    text = json.dumps({"metadata": {}, "weight_map": weight_map})
    (folder / "model.safetensors.index.json").write_text(text)
    return folder


def _figures(report: Any) -> Any:
    """What a report says beside times and places."""
    if isinstance(report, dict):
        return {k: _figures(v) for k, v in report.items() if k not in ("seconds", "output")}
    return [_figures(one) for one in report] if isinstance(report, list) else report


def _all_tensors(path: Path) -> dict[str, bytes]:
    with open_checkpoint(path) as checkpoint:
        return {name: checkpoint.read(name).tobytes() for name in checkpoint.tensors}


@pytest.mark.usefixtures("small_bands")
@pytest.mark.parametrize("masks_only", [False, True])
@pytest.mark.parametrize("pattern", ["2:4", "row 3:5"])
def test_files_and_figures_are_those_of_one_process(
    single: Path, tmp_path: Path, pattern: str, masks_only: bool
) -> None:
    outs = [tmp_path / f"{name}.safetensors" for name in ("one", "two", "three")]
    with ThreadPoolExecutor(2) as pool:
        reports = [
            prune_checkpoint(single, out, pattern, masks_only=masks_only, **options)
            for out, options in zip(
                (*outs, None), ({}, {"executor": pool}, {"resume": True}, {"executor": pool}),
                strict=True,
            )
        ]  # fmt: skip
    assert outs[0].read_bytes() == outs[1].read_bytes() == outs[2].read_bytes()
    found = [_figures({**report, "masks_only": None}) for report in reports]
    assert found[0] == found[1] == found[2] == found[3]
    assert len(found[0]["layers"]) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [single.name, *(out.name for out in outs)]
    )


@pytest.mark.usefixtures("small_bands")
@pytest.mark.parametrize("resume", [False, True])
def test_shards_and_their_companions(sharded: Path, tmp_path: Path, resume: bool) -> None:
    prune_checkpoint(sharded, tmp_path / "one")
    with ThreadPoolExecutor(2) as pool:
        prune_checkpoint(sharded, tmp_path / "two", executor=pool, resume=resume)
        # Over what is there, and onto itself.
        prune_checkpoint(sharded, tmp_path / "two", executor=pool, resume=resume, force=True)
        expected = _all_tensors(tmp_path / "one")
        assert _all_tensors(tmp_path / "two") == expected
        prune_checkpoint(sharded, sharded, executor=pool, resume=resume, force=True)
    assert _all_tensors(sharded) == expected
    names = [sorted(path.name for path in (tmp_path / one).iterdir()) for one in ("one", "two")]
    assert names[0] == names[1]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.usefixtures("small_bands")
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_files(tmp_path: Path, order: Any) -> None:
    array = np.asarray(np.random.default_rng(3).standard_normal((70, 90)), order=order)
    np.save(tmp_path / "a.npy", array)
    prune_checkpoint(tmp_path / "a.npy", tmp_path / "one.npy")
    with ThreadPoolExecutor(2) as pool:
        prune_checkpoint(tmp_path / "a.npy", tmp_path / "two.npy", executor=pool)
        prune_checkpoint(tmp_path / "a.npy", tmp_path / "m.safetensors", executor=pool,
                         masks_only=True)  # fmt: skip
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "two.npy").read_bytes()
    mask = next(iter(load_file(tmp_path / "m.safetensors").values()))
    kept = np.unpackbits(mask, bitorder="little", count=array.size).reshape(array.shape)
    np.testing.assert_array_equal(kept.astype(bool), np.load(tmp_path / "one.npy") != 0)


@pytest.mark.usefixtures("small_bands")
def test_files_of_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    state = {"a.weight": torch.randn(64, 96), "a.bias": torch.randn(5).half()}
    torch.save(state, tmp_path / "a.pt")
    prune_checkpoint(tmp_path / "a.pt", tmp_path / "one.safetensors")
    with ThreadPoolExecutor(2) as pool:
        prune_checkpoint(tmp_path / "a.pt", tmp_path / "two.safetensors", executor=pool)
    assert (tmp_path / "one.safetensors").read_bytes() == (
        tmp_path / "two.safetensors"
    ).read_bytes()


def test_an_archive_is_refused(tnm: Tnm, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", weight=np.ones((8, 8)))
    for options in (["--resume"], ["--executor", "processes", "--workers", "1"]):
        out = tmp_path / "b.npz"
        result = tnm("prune", tmp_path / "a.npz", "-o", out, "-p", "2:4", *options)
        result.assert_refused("a.npz is rewritten from its first byte to its last", ".npy file")
        assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


@contextmanager
def _told_after(
    monkeypatch: pytest.MonkeyPatch, count: int, act: Callable[[], object]
) -> Iterator[None]:
    """Do something when so many tasks with masks are done."""
    done = 0

    def advance(layer: str, entries: int) -> None:
        nonlocal done
        done += 1
        if done == count:
            act()

    @contextmanager
    def bar(total: int) -> Iterator[Callable[[str, int], None]]:
        yield advance

    with monkeypatch.context() as patch:
        patch.setattr(job, "progress_bar", bar)
        yield


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("small_bands")
def test_interrupted_run_goes_on(
    tnm: Tnm, single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, kept = tmp_path / "out.safetensors", tmp_path / ".out.safetensors.tnm-resume"
    command = ("prune", single, "-o", out, "-p", "2:4", "--resume")
    with _told_after(monkeypatch, 5, _interrupt):
        result = tnm(*command)
    assert result.status == 130
    assert f"is kept in {kept}; the same command with --resume continues it" in result.err
    assert not out.exists()
    before = snapshot(tmp_path)

    tnm(*command[:-1]).assert_refused(f"left {kept}", "--resume continues it")
    tnm(*command, "--score", "square").assert_refused("the options", "differ")
    assert snapshot(tmp_path) == before

    ran: list[tasks.Task] = []
    run = tasks.run_task
    monkeypatch.setattr(
        "tnm_core.cli.pruning.bands.run_tasks.run_task",
        lambda task: ran.append(task) or run(task),
    )
    with (kept / "done.jsonl").open("ab") as file:
        file.write(b'[7, {"panels": [')  # a line that was cut off
    assert tnm(*command).status == 0
    whole = tmp_path / "whole.safetensors"
    assert tnm("prune", single, "-o", whole, "-p", "2:4").status == 0
    assert out.read_bytes() == whole.read_bytes()
    assert not kept.exists()
    again = len(ran)
    ran.clear()
    assert tnm(*command, "--force").status == 0
    assert again <= len(ran) - 4  # of the five the last one was not kept


@pytest.mark.usefixtures("small_bands")
def test_what_is_kept_is_not_lost_or_mixed_up(
    tnm: Tnm, single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, kept = tmp_path / "out.safetensors", tmp_path / ".out.safetensors.tnm-resume"
    command = ("prune", single, "-o", out, "-p", "2:4", "--resume")
    with _told_after(monkeypatch, 4, _interrupt):
        assert tnm(*command).status == 130
    before = snapshot(tmp_path)
    descriptor = os.open(kept, os.O_RDONLY)
    assert try_lock(descriptor)
    tnm(*command).assert_refused("another run is at work in")
    tnm(*command[:-1], "--force").assert_refused("another run is at work in")
    os.close(descriptor)
    assert snapshot(tmp_path) == before
    # What is to replace it proves impossible.
    tnm("prune", tmp_path / "typo", *command[2:-1], "--force").assert_refused("typo")
    tnm(*command[:-1], "--force", "--include", "none").assert_refused("none")
    assert snapshot(tmp_path) == before
    # The checkpoint has changed meanwhile.
    os.utime(single, (1, 1))
    tnm(*command).assert_refused("the files of the checkpoint", "differ")
    assert snapshot(tmp_path) == before
    result = tnm(*command[:-1], "--force")
    assert result.status == 0
    assert "is replaced" in result.err
    assert not kept.exists()
    assert out.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full")
def test_a_full_disk_is_named_also_when_the_last_buffer_is_written() -> None:
    with (
        pytest.raises(CheckpointError, match="cannot write /dev/full"),
        tasks.Place("/dev/full", 0, 0).open() as out,
    ):
        out.write(b"some")


@pytest.mark.usefixtures("small_bands")
def test_interrupt_without_resume_leaves_nothing(
    tnm: Tnm, single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(tmp_path)
    out = tmp_path / "out.safetensors"
    with (
        ThreadPoolExecutor(2) as pool,
        _told_after(monkeypatch, 3, _interrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        prune_checkpoint(single, out, executor=pool)
    assert snapshot(tmp_path) == before


@pytest.mark.usefixtures("small_bands")
def test_a_bad_weight_ends_the_run_wherever_it_is_found(single: Path, tmp_path: Path) -> None:
    tensors = _tensors()
    tensors["b.weight"][100, 5] = np.nan
    save_file(tensors, single)
    before = snapshot(tmp_path)
    for options in ({"resume": True}, {"executor": lambda: ThreadPoolExecutor(2)}):
        with pytest.raises(ValueError, match=r"b\.weight\[100, 5\] is nan"):
            prune_checkpoint(single, tmp_path / "out.safetensors", **options)  # type: ignore[arg-type]
        assert snapshot(tmp_path) == before


def test_a_killed_worker_costs_its_tasks_alone(
    single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: list[Any] = []
    handed_out = 0
    submit = Workers.submit

    def make() -> Any:
        pools.append(process_pool(1))
        return pools[-1]

    def count(self: Workers, *arguments: Any) -> Any:
        nonlocal handed_out
        handed_out += 1
        return submit(self, *arguments)

    def kill() -> None:
        os.kill(next(iter(pools[0]._processes)), signal.SIGKILL)

    monkeypatch.setattr(Workers, "submit", count)
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    report = prune_checkpoint(single, one)
    with (
        _told_after(monkeypatch, 1, kill),
        pytest.warns(WorkersWarning, match="a worker died"),
    ):
        found = prune_checkpoint(single, two, executor=make, in_flight=2)
    assert one.read_bytes() == two.read_bytes()
    assert _figures(found) == _figures(report)
    assert len(pools) == 2
    # Four layers, and what is copied between and around them: seven tensors.
    assert handed_out <= 7 + 2 + 1


def test_workers_refuse_other_files_than_those_of_the_run(single: Path, tmp_path: Path) -> None:
    source = tasks.SourceFile.of(single)
    os.utime(single, (5, 5))
    with pytest.raises(CheckpointError, match="has changed since; expected a folder that all"):
        source.open()
    single.unlink()
    with pytest.raises(CheckpointError, match="cannot read"):
        source.open()
    place = tasks.Place(str(tmp_path / "absent"), 4, 0)
    with pytest.raises(CheckpointError, match="cannot write"), place.open():
        pass
    (tmp_path / "absent").write_bytes(b"12345")
    with pytest.raises(CheckpointError, match="5 bytes, expected 4"), place.open():
        pass
    assert (tmp_path / "absent").read_bytes() == b"12345"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--executor", "slurm"], ["--executor is 'slurm'", "processes, dask"]),
        (["--executor", "dask"], ["--address is for --executor dask"]),
        (["--address", "tcp://x:1"], ["--address is for --executor dask"]),
        (["--workers", "2"], ["--workers is for --executor processes"]),
        (["--dry-run", "--resume"], ["--resume is for runs that write"]),
    ],
)
def test_options_that_do_not_go_together(
    tnm: Tnm, single: Path, tmp_path: Path, options: list[str], words: list[str]
) -> None:
    out = tmp_path / "out.safetensors"
    tnm("prune", single, "-o", out, "-p", "2:4", *options).assert_refused(*words)
    assert [path.name for path in tmp_path.iterdir()] == [single.name]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"score": "identity"}, "score is 'identity'"),
        ({"threads": 0}, "threads is 0"),
        ({"include": ["nothing*"]}, "matches no tensor"),
        ({"output": None, "resume": True}, "resume is True and output None"),
    ],
)
def test_bad_arguments_of_the_function(single: Path, options: dict[str, Any], said: str) -> None:
    before = snapshot(single.parent)
    with pytest.raises(ValueError, match=said):
        prune_checkpoint(single, **{"output": single.with_name("out.safetensors"), **options})
    assert snapshot(single.parent) == before
