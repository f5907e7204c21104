"""Writing all or nothing: leftovers, other runs, links, folders, Ctrl-C."""

from __future__ import annotations

import os
import signal
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from tests.checkpoint.crashes import at_call
from tnm_core.checkpoint import CheckpointError, FileTransaction, LeftoverWarning, PlannedFile

LEFT = ".out.0123456789ab.tmp"


def _write(target: Path, text: bytes = b"new") -> None:
    with FileTransaction() as transaction:
        transaction.open(target).write(text)


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_leftovers_of_killed_runs_are_named_and_removed(tmp_path: Path) -> None:
    (tmp_path / LEFT).write_bytes(b"half")
    (tmp_path / ".out.aaaaaaaaaaaa.tmp").mkdir()
    (tmp_path / ".out.aaaaaaaaaaaa.tmp" / "a").write_bytes(b"half")
    others = [".other.0123456789ab.tmp", ".out.tmp", ".out.xyz.tmp", "out.0123456789ab.tmp"]
    for name in others:
        (tmp_path / name).write_bytes(b"not ours")
    with pytest.warns(LeftoverWarning) as told:
        _write(tmp_path / "out")
    assert all(str(tmp_path / ".out.") in str(one.message) for one in told)
    assert len(told) == 2
    assert _names(tmp_path) == sorted([*others, "out"])


def test_leftovers_in_a_folder_that_exists(tmp_path: Path) -> None:
    (tmp_path / ".shard-1.0123456789ab.tmp").write_bytes(b"half")
    with FileTransaction() as transaction:
        with pytest.warns(LeftoverWarning, match="shard-1"):
            transaction.make_folder(tmp_path)
        transaction.open(tmp_path / "a")
    assert _names(tmp_path) == ["a"]


@pytest.mark.parametrize("existing", [True, False])
def test_of_two_runs_to_one_file_the_second_fails(tmp_path: Path, existing: bool) -> None:
    if existing:
        (tmp_path / "out").write_bytes(b"old")
    with FileTransaction() as first:
        first.open(tmp_path / "out").write(b"first")
        with pytest.raises(CheckpointError, match="another run is writing it"):
            _write(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"first"
    assert _names(tmp_path) == ["out"]


def test_of_two_runs_to_one_folder_the_second_fails(tmp_path: Path) -> None:
    with FileTransaction() as first:
        first.make_folder(tmp_path / "new")
        first.open(tmp_path / "new" / "a").write(b"first")
        with (
            FileTransaction() as second,
            pytest.raises(CheckpointError, match=r"new: another run is writing it"),
        ):
            second.make_folder(tmp_path / "new")
    assert _names(tmp_path) == ["new", "new/a"]


@pytest.mark.parametrize("folder", [False, True])
def test_a_new_target_that_appears_meanwhile_is_spared(tmp_path: Path, folder: bool) -> None:
    def run() -> None:
        with FileTransaction() as transaction:
            if folder:
                transaction.make_folder(tmp_path / "new")
                transaction.open(tmp_path / "new" / "a")
                (tmp_path / "new").mkdir()
                (tmp_path / "new" / "b").write_bytes(b"somebody's")
            else:
                transaction.open(tmp_path / "new")
                (tmp_path / "new").write_bytes(b"somebody's")

    with pytest.raises(CheckpointError, match="it has appeared since this run began"):
        run()
    assert _names(tmp_path) == (["new", "new/b"] if folder else ["new"])


def test_a_target_that_appears_at_the_last_moment(tmp_path: Path) -> None:
    def appear() -> None:
        (tmp_path / "out").write_bytes(b"somebody's")

    # Calls: write, fsync, link.
    with at_call(3, appear) as seen, pytest.raises(CheckpointError, match="has appeared"):
        _write(tmp_path / "out")
    assert seen[2] == "link"
    assert (tmp_path / "out").read_bytes() == b"somebody's"
    assert _names(tmp_path) == ["out"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(Path("elsewhere") / "real")
    _write(link)
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(CheckpointError, match="loop"):
        _write(tmp_path / "loop")
    assert len(_names(tmp_path)) == 4


def test_a_target_that_forbids_writing_is_replaced_by_others_that_write(tmp_path: Path) -> None:
    """By processes that open the file by its name, or take over one of an earlier run."""
    target, made = tmp_path / "out", tmp_path / "made"
    target.write_bytes(b"old")
    target.chmod(0o444)
    planned = PlannedFile(target, b"he", size=4)
    with FileTransaction() as transaction:
        path = transaction.allocate(planned)
        assert path.stat().st_mode & 0o777 == 0o644
        with path.open("r+b") as file:
            file.seek(2)
            file.write(b"ad")
    assert target.read_bytes() == b"head"
    assert target.stat().st_mode & 0o777 == 0o444
    made.write_bytes(b"new")
    with FileTransaction() as transaction:
        transaction.take(made, target)
        assert made.stat().st_mode & stat.S_IWUSR
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o444


def test_nested_folders_go_after_a_failure(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        with FileTransaction() as transaction:
            for one in (folder, folder / "inner", folder / "inner" / "most"):
                transaction.make_folder(one)
            transaction.open(folder / "inner" / "most" / "a").write(b"1")
            transaction.scratch_folder(folder / "inner" / "b").joinpath("big").write_bytes(b"1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail(tmp_path / "new")
    assert _names(tmp_path) == []


def test_a_scratch_folder_goes_in_the_end(tmp_path: Path) -> None:
    for _ in range(2):  # to a new folder, and to one that exists
        with FileTransaction() as transaction:
            transaction.make_folder(tmp_path / "new")
            scratch = transaction.scratch_folder(tmp_path / "new" / "a")
            (scratch / "big").write_bytes(b"1")
            transaction.open(tmp_path / "new" / "a").write(b"1")
        assert _names(tmp_path) == ["new", "new/a"]


@pytest.mark.parametrize("ending", ["well", "badly"])
def test_ctrl_c_at_any_call(tmp_path: Path, ending: str) -> None:
    """A signal that comes while files get their names, or are removed, waits until that is done."""

    def run() -> None:
        with FileTransaction() as transaction:
            transaction.make_folder(tmp_path / "new")
            for name in "ab":
                transaction.open(tmp_path / "new" / name).write(b"1")
            if ending == "badly":
                raise ZeroDivisionError

    for number in range(1, 50):
        with (
            suppress(KeyboardInterrupt, ZeroDivisionError),
            at_call(number, lambda: signal.raise_signal(signal.SIGINT)) as seen,
        ):
            run()
        assert _names(tmp_path) in ([], ["new", "new/a", "new/b"]), seen
        if len(seen) < number:
            break
        for name in _names(tmp_path)[::-1]:
            path = tmp_path / name
            path.rmdir() if path.is_dir() else path.unlink()
    assert number > 4


def test_what_cannot_be_removed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    def fail() -> None:
        with FileTransaction() as transaction:
            transaction.open(tmp_path / "out")
            monkeypatch.setattr(os, "unlink", refuse)
            raise KeyboardInterrupt

    with pytest.raises(CheckpointError, match=r"cannot remove .*/\.out\.[0-9a-f]{12}\.tmp"):
        fail()
