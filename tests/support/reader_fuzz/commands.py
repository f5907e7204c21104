"""Run commands and the Python API on a file, and say what was wrong with how they behaved."""

from __future__ import annotations

import io
import random
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType

from tnm_core.checkpoint import (
    CheckpointError,
    load_packed,
    open_checkpoint,
    read_index,
    read_masks,
)
from tnm_core.cli.run import run

SECONDS = 60  # for one command on a small file, on a busy machine


class Hang(BaseException):
    """A command took too long."""


def run_quietly(*arguments: object) -> tuple[int, str, str]:
    """Run a command; return its status, stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = run([str(argument) for argument in arguments])
    return status, out.getvalue(), err.getvalue()


def findings(folder: Path, named: str, rng: random.Random) -> Iterator[str]:
    """Put a file in ``folder/in`` through a command and the API; yield what went wrong."""
    path = folder / "in" / named
    out = folder / ("out" if _is_sharded(path) else f"out{_written_suffix(path)}")
    masks = folder / "masks out.safetensors"
    picture = folder / "out.svg"
    commands: list[list[object]] = [
        ["inspect", path],
        ["inspect", path, "--json"],
        ["check", path],
        ["check", path, "-p", "2:4"],
        ["prune", path, "-o", masks, "-p", "2:4", "--masks-only"],
        ["prune", path, "-o", out, "-p", "2:4"],
        ["prune", path, "-o", out, "-p", "row 1:4", "--json"],
        ["convert", path, "--to", "masks", "-o", masks],
        ["convert", path, "--to", rng.choice(("dense", "packed", "bitmask")), "-o", out],
    ]
    if path.name == "report.json":
        commands = [["plot", "retained", path, "-o", picture], commands[0]]
    command = rng.choice(commands)
    if rng.random() < 0.02:  # drawing takes long
        name = rng.choice(("w", "up.weight", "conv"))
        command = ["plot", "mask", path, "--tensor", name, "-p", "2:4", "-o", picture]
    told = " ".join(map(str, [command[0], *command[2:]]))
    for problem in _problems_of_command(command, folder, (out, masks, picture)):
        yield f"{told}: {problem}"
    if out.exists():
        status, _, err = run_quietly("check", out, "-p", "2:4")
        # Layers that the metadata named before, and the file does not hold, are named still.
        if status not in (0, 1) and "which it does not hold" not in err:
            yield f"what prune wrote cannot be checked: {err}"
    for problem in _problems_of_api(path):
        yield f"API: {problem}"


def _problems_of_command(
    command: list[object], folder: Path, outputs: tuple[Path, ...]
) -> Iterator[str]:
    before = _listing(folder)
    try:
        with _limit():
            status, out, err = run_quietly(*command)
    except (Exception, Hang, SystemExit):
        yield traceback.format_exc()
        return
    lines = [line for line in err.splitlines() if not line.startswith("tnm: note: ")]
    new = _listing(folder) - before
    allowed = {str(path.relative_to(folder)) for path in outputs}
    if status not in (0, 1, 2):
        yield f"status {status}: {err}"
    if status == 2 and (len(lines) != 1 or not lines[0].startswith("tnm: ")):
        yield f"expected one line of error: {err!r}"
    if status == 2 and (out or new):
        yield f"a refusal printed {out!r} or left {sorted(new)}"
    if status != 2 and lines:
        yield f"status {status}, but on stderr {err!r}"
    if "not enough memory" in err:
        yield err
    if any(name.split("/")[0] not in allowed or name.endswith(".tmp") for name in new):
        yield f"left {sorted(new)}"


def _problems_of_api(path: Path) -> Iterator[str]:
    for read in (_read_all, read_masks, load_packed, read_index):
        try:
            with _limit():
                read(path)
        except CheckpointError as error:
            if "\n" in str(error):
                yield f"{read.__name__}: an error of several lines: {error}"
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.filename is None:
                yield f"{read.__name__}: {traceback.format_exc()}"
        except (Exception, Hang):
            yield f"{read.__name__}: {traceback.format_exc()}"


def _read_all(path: Path) -> None:
    with open_checkpoint(path) as checkpoint:
        for name, info in checkpoint.tensors.items():
            if info.array_dtype is not None:
                array = checkpoint.read(name)
                assert array.shape == info.shape
                assert array.dtype == info.array_dtype
                assert array.flags.writeable or not array.size
        assert isinstance(checkpoint.records, list)


def _listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _is_sharded(path: Path) -> bool:
    return path.is_dir() or path.suffix == ".json"


def _written_suffix(path: Path) -> str:
    return path.suffix if path.suffix in (".npy", ".npz") else ".safetensors"


@contextmanager
def _limit() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
