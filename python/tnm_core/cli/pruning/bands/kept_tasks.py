"""What is done of a run of ``tnm prune``, so that ``--resume`` can go on with it.

A hidden folder beside the output holds the files that are being written, a line for each task that
is done, and what the run depends on. It goes when the run has ended well.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tnm_core.checkpoint import CheckpointError, PlannedFile, disk_errors, try_lock
from tnm_core.cli.console import note
from tnm_core.cli.errors import CommandError, StoppedMidway, Terminated
from tnm_core.cli.pruning.bands.tasks import TaskResult
from tnm_core.cli.pruning.pruned_tensor import PrunedTensor
from tnm_core.cli.resuming import (
    IDENTITY,
    check_same_inputs,
    differ,
    folder_beside,
    kept_in,
    read_identity,
    replaces_what_is_left,
)

_DONE, _RUN = "done.jsonl", "run"


class KeptTasks:
    """Keeps the tasks of a run that are done, and its files, in a folder beside its output.

    Parameters
    ----------
    output : Path
        What the run is going to write.
    """

    def __init__(self, output: Path) -> None:
        self.folder = folder_beside(output)
        self.done: set[int] = set()
        self.total = 0
        self._run = ""
        self._lock: int | None = None
        self._is_fresh = False  # begun by this run
        self._replaced: list[str] = []  # what to say when it is
        self._file: BinaryIO | None = None

    def check(self, *, resume: bool, force: bool) -> None:
        """Speak of what an interrupted run has left; refuse to lose it unasked.

        Nothing is removed yet: what replaces it may prove impossible.
        """
        if force and not resume and self.folder.exists():
            self._lock_folder()
            self._unlock_folder()
        tell = self._replaced.append
        replaces_what_is_left(self.folder, resume=resume, force=force, tell=tell)

    def clear(self) -> None:
        """Remove what an interrupted run has left and this one replaces."""
        for told in self._replaced:
            self._lock_folder()
            note(told)
            self.remove()
            self._unlock_folder()

    def begin(self, identity: Mapping[str, Any]) -> str:
        """Take over what a run with the same inputs has done; return what names the run."""
        with disk_errors(self.folder):
            self.folder.mkdir(exist_ok=True)
            self._lock_folder()
            path = self.folder / IDENTITY
            if path.exists():
                self._run = self._same_run(identity)
            else:
                self._run = secrets.token_hex(16)
                (self.folder / self._run).mkdir()
                beside = path.with_suffix(".tmp")
                beside.write_text(json.dumps({**identity, _RUN: self._run}, indent=2))
                beside.replace(path)
                self._is_fresh = True
        return self._run

    def allocate(self, planned: Sequence[PlannedFile]) -> list[Path]:
        """Make the files, unless an earlier run has."""
        paths = []
        for number, file in enumerate(planned):
            # In a folder of the run: a worker that was given up cannot write into another one.
            path = self.folder / self._run / f"{number}.part"
            if path.exists():  # with the mode of what it was to replace, if that came so far
                path.chmod(path.stat().st_mode | stat.S_IWUSR)
            with disk_errors(path), path.open("r+b" if path.exists() else "xb") as out:
                out.write(file.head)
                out.truncate(file.size)
            paths.append(path)
        return paths

    def recall(self) -> Iterator[tuple[int, TaskResult]]:
        """Yield what an earlier run has done; not a line that was cut off, nor what follows it."""
        path, whole = self.folder / _DONE, 0
        with disk_errors(path):
            self._file = path.open("a+b")
            self._file.seek(0)
            for line in self._file:
                try:
                    number, record = json.loads(line)
                    found = int(number), _result_of(record)
                except (ValueError, TypeError, KeyError):
                    break
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                self.done.add(found[0])
                yield found
            self._file.truncate(whole)

    def keep(self, number: int, result: TaskResult) -> None:
        """Keep what a task has answered, whose bytes are on disk."""
        assert self._file is not None
        with disk_errors(self.folder):
            self._file.write(json.dumps([number, _record_of(result)]).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        self.done.add(number)

    @property
    def left(self) -> str | None:
        """What to say of a run that ends here; None if it leaves nothing."""
        done = f"{len(self.done)} of {self.total} tasks"
        return kept_in(self.folder, done) if self.done else None

    def close(self) -> None:
        """Close the files, and remove the folder of a run that has done nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._is_fresh and not self.done:
            self.remove()
        self._unlock_folder()

    def remove(self) -> None:
        """Remove what this class has written, and nothing else."""
        if self.folder.is_symlink() or not self.folder.is_dir():
            return
        with suppress(OSError, ValueError, KeyError):
            name = str(json.loads((self.folder / IDENTITY).read_text())[_RUN])
            if len(name) == 32 and name.isalnum():
                shutil.rmtree(self.folder / name, ignore_errors=True)
        for name in (_DONE, "run.tmp", IDENTITY):  # without the last nothing can be resumed
            (self.folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()
        self.done = set()

    def _lock_folder(self) -> None:
        if os.name != "posix":
            return
        descriptor = os.open(self.folder, os.O_RDONLY)
        if try_lock(descriptor):
            self._lock = descriptor
        else:
            os.close(descriptor)
            raise CheckpointError(f"another run is at work in {self.folder}; wait until it is done")

    def _unlock_folder(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _same_run(self, identity: Mapping[str, Any]) -> str:
        found = read_identity(self.folder)
        check_same_inputs(self.folder, found, identity)
        run = str(found.get(_RUN))
        if not (self.folder / run).is_dir():
            raise differ(self.folder, ["the files"])
        return run


@contextmanager
def keeping(kept: KeptTasks) -> Iterator[KeptTasks]:
    """Yield it; say of a run that ends early what it leaves, and how to go on."""
    try:
        yield kept
    except (KeyboardInterrupt, Terminated) as cause:
        if kept.left is None:
            raise
        raise StoppedMidway(cause, kept.left) from None
    except CommandError:
        if kept.done:
            kept.remove()  # the same inputs would fail again
        raise
    except Exception:
        if kept.left is not None:
            note(kept.left)
        raise
    else:
        kept.remove()
    finally:
        kept.close()


def _record_of(result: TaskResult) -> dict[str, Any]:
    record: dict[str, Any] = {"panels": [asdict(panel) for panel in result.panels]}
    if result.magnitudes is not None and result.counts is not None:
        record["magnitudes"] = _text_of(result.magnitudes.astype("<u2"))
        record["counts"] = _text_of(result.counts.astype("<i8"))
    if result.unstructured is not None:
        record["unstructured"] = result.unstructured
    return record


def _result_of(record: Mapping[str, Any]) -> TaskResult:
    panels = (PrunedTensor(**{**one, "shape": tuple(one["shape"])}) for one in record["panels"])
    magnitudes = counts = None
    if "magnitudes" in record:
        magnitudes = np.frombuffer(base64.b64decode(record["magnitudes"]), "<u2")
        counts = np.frombuffer(base64.b64decode(record["counts"]), "<i8")
    return TaskResult(tuple(panels), magnitudes, counts, record.get("unstructured"))


def _text_of(array: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()
