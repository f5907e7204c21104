"""Where a model and its data come from, and how the result goes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tnm_core.checkpoint import FileTransaction
from tnm_core.cli.calibration import hugging_face
from tnm_core.cli.calibration.job import Outcome, Trained
from tnm_core.cli.calibration.state_dict import batches_of, model_of, write_state_dict
from tnm_core.cli.errors import CommandError
from tnm_core.cli.references import EXPECTED, is_reference
from tnm_core.cli.targets import check_unused


@dataclass(frozen=True)
class Task:
    """What was asked for, as it was written."""

    model: str
    data: str
    output: Path
    force: bool
    head_size: int | None
    batch_size: int | None
    max_tokens: int | None


@dataclass(frozen=True)
class Source:
    """A model, its batches, what users should know of them, and what writes the model back."""

    trained: Trained
    notes: tuple[str, ...]
    write: Callable[[Outcome], None]


def open_source(task: Task, transaction: FileTransaction) -> Source:
    """Load model and data, after a look at whether the result can be written."""
    is_text = Path(task.data).is_file() and not task.data.endswith(".py")
    if not is_text:
        _require_reference("DATA", task.data, "a text file")
        if task.batch_size is not None or task.max_tokens is not None:
            raise CommandError(
                "--batch-size and --max-tokens are for a text file of sentences; "
                f"{task.data} makes its batches itself"
            )
    if Path(task.model).is_dir():
        return _from_folder(task, is_text, transaction)
    _require_reference("MODEL", task.model, "a directory")
    if is_text:
        raise CommandError(
            f"{task.data} is a file, but {task.model} brings no tokenizer; expected {EXPECTED}, "
            "which returns batches"
        )
    return _from_reference(task, transaction)


def _from_folder(task: Task, is_text: bool, transaction: FileTransaction) -> Source:
    folder = Path(task.model)
    hugging_face.check_target(folder, task.output, task.force)
    loaded = hugging_face.load(folder)
    batches: Iterable[Any]
    if is_text:
        size, most = task.batch_size or 32, task.max_tokens or 512
        batches = hugging_face.sentence_batches(loaded, Path(task.data), size, most)
    else:
        batches = batches_of(task.data)
    transaction.make_folder(task.output)

    def write(outcome: Outcome) -> None:
        hugging_face.write(loaded, transaction, task.output, outcome)

    head_size = task.head_size or loaded.head_size
    trained = Trained(loaded.model, batches, head_size, loaded.layers_without_weights)
    return Source(trained, loaded.notes, write)


def _from_reference(task: Task, transaction: FileTransaction) -> Source:
    if task.output.suffix.lower() != ".safetensors":
        raise CommandError(
            f"cannot write a state dict to {task.output}: it is a .safetensors file, name it so"
        )
    check_unused([task.output], task.force)
    file = transaction.open(task.output)
    model = model_of(task.model)

    def write(outcome: Outcome) -> None:
        write_state_dict(file, model, outcome.records(model.state_dict()))

    return Source(Trained(model, batches_of(task.data), task.head_size), (), write)


def _require_reference(argument: str, text: str, other: str) -> None:
    if not is_reference(text):
        raise CommandError(f"{argument} is {text!r}; expected {EXPECTED}, or {other} that exists")
