"""Where a model and its data come from, and how the result goes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from tnm_core.checkpoint import FileTransaction
from tnm_core.cli import hugging_face
from tnm_core.cli.calibration import model_directory
from tnm_core.cli.calibration.result import CalibrationResult
from tnm_core.cli.calibration.state_dict import batches_of, model_of, write_state_dict
from tnm_core.cli.errors import CommandError
from tnm_core.cli.model_directory import Companions, check_target
from tnm_core.cli.references import EXPECTED, is_reference
from tnm_core.cli.targets import check_unused


@dataclass(frozen=True)
class CalibrateArguments:
    """Arguments of the command, as they were written."""

    model: str
    data: str
    output: Path
    force: bool
    head_size: int | None
    batch_size: int | None
    max_tokens: int | None


@dataclass(frozen=True)
class LoadedModel:
    """A model, its batches, what is known of them, and what writes the model back."""

    model: nn.Module
    batches: Iterable[Any]
    write: Callable[[CalibrationResult], Companions]
    head_size: int | None  # units in a head of attention
    layers_without_weights: frozenset[str] = frozenset()  # in the checkpoint
    notes: tuple[str, ...] = ()


def open_source(arguments: CalibrateArguments, transaction: FileTransaction) -> LoadedModel:
    """Load model and data, after a look at whether the result can be written."""
    is_text = Path(arguments.data).is_file() and not arguments.data.endswith(".py")
    if not is_text:
        _check_reference("DATA", arguments.data, "a text file")
        if arguments.batch_size is not None or arguments.max_tokens is not None:
            raise CommandError(
                "--batch-size and --max-tokens are for a text file of sentences; "
                f"{arguments.data} makes its batches itself"
            )
    if Path(arguments.model).is_dir():
        return _from_folder(arguments, is_text, transaction)
    _check_reference("MODEL", arguments.model, "a directory")
    if is_text:
        raise CommandError(
            f"{arguments.data} is a file, but {arguments.model} brings no tokenizer; expected "
            f"{EXPECTED}, which returns batches"
        )
    return _from_reference(arguments, transaction)


def _from_folder(
    arguments: CalibrateArguments, is_text: bool, transaction: FileTransaction
) -> LoadedModel:
    folder = Path(arguments.model)
    check_target(folder, arguments.output, {model_directory.WEIGHTS}, arguments.force)
    loaded = hugging_face.load(folder)
    batches: Iterable[Any]
    if is_text:
        size, most = arguments.batch_size or 32, arguments.max_tokens or 512
        batches = hugging_face.sentence_batches(loaded, Path(arguments.data), size, most)
    else:
        batches = batches_of(arguments.data)
    transaction.make_folder(arguments.output)

    def write(result: CalibrationResult) -> Companions:
        return model_directory.write(loaded, transaction, arguments.output, result)

    head_size = arguments.head_size or loaded.head_size
    missing = loaded.layers_without_weights
    return LoadedModel(loaded.model, batches, write, head_size, missing, loaded.notes)


def _from_reference(arguments: CalibrateArguments, transaction: FileTransaction) -> LoadedModel:
    if arguments.output.suffix.lower() != ".safetensors":
        raise CommandError(
            f"cannot write a state dict to {arguments.output}: it is a .safetensors file, name it "
            "so"
        )
    check_unused([arguments.output], arguments.force)
    file = transaction.open(arguments.output)
    model = model_of(arguments.model)

    def write(result: CalibrationResult) -> Companions:
        write_state_dict(file, model, result.metadata(model.state_dict()))
        return Companions()

    return LoadedModel(model, batches_of(arguments.data), write, arguments.head_size)


def _check_reference(argument: str, text: str, other: str) -> None:
    if not is_reference(text):
        raise CommandError(f"{argument} is {text!r}; expected {EXPECTED}, or {other} that exists")
