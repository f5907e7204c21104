"""What an interrupted run of ``tnm calibrate`` leaves, so that ``--resume`` can go on with it.

A hidden folder beside the output holds a file for each step (the layers that share an input, a
block that was tuned, or the model that was distilled) and one that says of which model, batches and
options. Each file is whole or not there. The folder is as large as the pruned layers (twice
if they were distilled) and a byte for each entry of their masks; it goes when the run has ended
well.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import torch

from tnm_core.cli.resuming import (
    IDENTITY,
    check_same_inputs,
    folder_beside,
    kept_in,
    read_identity,
    replaces_what_is_left,
)
from tnm_core.skip import Skip, SkipCode
from tnm_core.torch.calibrate import Distillation, PrunedLayer, PruneStep, TunedBlock

_OWN_FILES = re.compile(r"run\.json|\d{6}\.step|(run\.json|\d{6}\.step)\.tmp")


class KeptRun:
    """Keeps the steps of a run in a folder beside its output; a `Journal` once it has begun.

    Parameters
    ----------
    output : Path
        What the run is going to write.
    warn : callable
        Is told what the user should know.
    """

    def __init__(self, output: Path, warn: Callable[[str], None]) -> None:
        self.folder = folder_beside(output)
        self._warn = warn
        self._identity: dict[str, str] = {}
        self._recalled = 0  # steps that an earlier run has kept
        self._kept = 0  # steps that are in the folder
        self._writable = True

    def check(self, *, resume: bool, force: bool) -> None:
        """Speak of what an interrupted run has left; refuse to lose it unasked."""
        if resume and not self.folder.exists():
            self._warn(f"there is no {self.folder} to resume; the run begins at its first layer")
        # What is left goes when there is something to take its place.
        replaces_what_is_left(self.folder, resume=resume, force=force, tell=self._warn)

    def begin(self, identity: Mapping[str, str], *, resume: bool) -> None:
        """Take over the steps of a run with the same inputs, or none."""
        self._identity = dict(identity)
        if not (resume and self.folder.exists()):
            return
        check_same_inputs(self.folder, read_identity(self.folder), self._identity)
        while self._path(self._recalled).is_file():
            self._recalled += 1
        self._kept = self._recalled

    @property
    def left(self) -> str | None:
        """What to say of a run that ends here; None if it leaves nothing."""
        return kept_in(self.folder, f"{self._kept} steps") if self._kept else None

    def recall(self, number: int) -> PruneStep | None:
        """Return a step that an earlier run has kept."""
        if number >= self._recalled:
            return None
        path = self._path(number)
        try:
            return _step_of(torch.load(path, weights_only=True, map_location="cpu"))
        except Exception as error:  # of whatever kind a damaged file causes
            self._warn(f"cannot read {path} ({type(error).__name__}); the run goes on from there")
            self._recalled = self._kept = number
            return None

    def keep(self, number: int, step: PruneStep) -> None:
        """Write a step; if that is impossible, say so once and go on without."""
        if not self._writable:
            return
        try:
            if not self._kept:
                self.remove()  # of a run that is not resumed
                self.folder.mkdir()
                text = json.dumps(self._identity, indent=2)
                _write(self.folder / IDENTITY, lambda file: file.write(text.encode()))
            record = _record_of(step)
            _write(self._path(number), lambda file: torch.save(record, file))
            self._kept = number + 1
        except (OSError, RuntimeError) as error:  # torch reports a full disk as the latter
            self._writable = False
            told = getattr(error, "strerror", None) or _first_line(error)
            self._warn(f"cannot keep what is done in {self.folder} ({told}); the run goes on")

    def remove(self) -> None:
        """Remove what this class has written, and nothing else."""
        if self.folder.is_symlink() or not self.folder.is_dir():
            return
        # The identity goes last: without it, what is left cannot be resumed by mistake.
        for path in sorted(self.folder.iterdir(), key=lambda path: path.name == IDENTITY):
            if _OWN_FILES.fullmatch(path.name):
                path.unlink()
        with suppress(OSError):
            self.folder.rmdir()
        self._kept = 0

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06}.step"


def _first_line(error: Exception) -> str:
    """Return the first line of a message, without a dot at its end."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _write(path: Path, put: Callable[[BinaryIO], object]) -> None:
    """Write a file that is there as a whole or not at all, even after a power cut."""
    beside = path.with_name(f"{path.name}.tmp")
    try:
        with beside.open("wb") as file:
            put(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def _record_of(step: PruneStep) -> dict[str, Any]:
    """Say what a step has done in plain values and tensors."""
    return {
        "parameters": {name: one.detach().cpu().clone() for name, one in step.parameters.items()},
        "layers": [
            {
                **{key: value for key, value in vars(layer).items() if key != "remark"},
                "remark": None if layer.remark is None else _skip_record(layer.remark),
            }
            for layer in step.layers
        ],
        "masks": {name: mask.cpu() for name, mask in step.masks.items()},
        "blocks": [asdict(block) for block in step.blocks],
        "untuned": {name: _skip_record(skip) for name, skip in step.untuned.items()},
        "distillation": None if step.distillation is None else asdict(step.distillation),
    }


def _step_of(record: Mapping[str, Any]) -> PruneStep:
    layers = (
        PrunedLayer(
            **{
                **layer,
                "shape": tuple(layer["shape"]),
                "remark": None if layer["remark"] is None else _skip_of(layer["remark"]),
            }
        )
        for layer in record["layers"]
    )
    return PruneStep(
        record["parameters"],
        tuple(layers),
        record["masks"],
        tuple(TunedBlock(**block) for block in record["blocks"]),
        {name: _skip_of(skip) for name, skip in record["untuned"].items()},
        None if record["distillation"] is None else Distillation(**record["distillation"]),
    )


def _skip_record(skip: Skip) -> dict[str, Any]:
    return {"code": skip.code.name, "details": {k: str(v) for k, v in skip.details.items()}}


def _skip_of(record: Mapping[str, Any]) -> Skip:
    return SkipCode[record["code"]](**record["details"])
