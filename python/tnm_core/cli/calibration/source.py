"""Where a model and its data come from, and how the result goes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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

# Tokens of a piece of text for a causal language model, and of what orders of units are tried on:
# such a model runs hundreds of times for that, and a short text shows as much as a long one.
DEFAULT_LENGTH, _TRIED_TOKENS = 512, 32


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
    length: int | None = None
    tokens: int | None = None
    distill_tokens: int | None = None


@dataclass(frozen=True)
class LoadedModel:
    """A model, its batches, what is known of them, and what writes the model back.

    `distill_batches` are those to distill with, if they are others.
    """

    model: nn.Module
    batches: Iterable[Any]
    write: Callable[[CalibrationResult], Companions]
    head_size: int | None  # units in a head of attention
    layers_without_weights: frozenset[str] = frozenset()  # in the checkpoint
    notes: tuple[str, ...] = ()
    trial: Sequence[Any] | None = None  # a batch to try orders of units on, where all are large
    distill_batches: Iterable[Any] | None = None


def open_source(arguments: CalibrateArguments, transaction: FileTransaction) -> LoadedModel:
    """Load model and data, after a look at whether the result can be written."""
    is_text = Path(arguments.data).is_file() and not arguments.data.endswith(".py")
    if not is_text:
        _check_reference("DATA", arguments.data, "a text file")
        given = [
            option
            for option, value in (
                ("--batch-size", arguments.batch_size),
                ("--max-tokens", arguments.max_tokens),
                ("--length", arguments.length),
                ("--tokens", arguments.tokens),
                ("--distill-tokens", arguments.distill_tokens),
            )
            if value is not None
        ]
        if given:
            raise CommandError(
                f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} for a text file; "
                f"{arguments.data} makes its batches itself"
            )
    if hugging_face.is_model(Path(arguments.model)):
        return _from_folder(arguments, is_text, transaction)
    _check_reference("MODEL", arguments.model, "a directory or a .gguf file")
    if is_text:
        raise CommandError(
            f"{arguments.data} is a file, but {arguments.model} brings no tokenizer; expected "
            f"{EXPECTED}, which returns batches"
        )
    return _from_reference(arguments, transaction)


def _from_folder(
    arguments: CalibrateArguments, is_text: bool, transaction: FileTransaction
) -> LoadedModel:
    path = Path(arguments.model)
    folder = path if path.is_dir() else path.parent
    check_target(folder, arguments.output, {model_directory.WEIGHTS}, arguments.force)
    loaded = hugging_face.load(path)
    batches: Iterable[Any]
    distilling = trial = None
    notes = loaded.notes
    if is_text and loaded.is_causal:
        packed = _packed_batches(loaded, arguments)
        batches, distilling = packed.batches, packed.others
        notes += packed.notes
        first = packed.batches[0]
        trial = [{name: value[:1, :_TRIED_TOKENS] for name, value in first.items()}]
    else:
        batches = _sentences(loaded, arguments) if is_text else batches_of(arguments.data)
    transaction.make_folder(arguments.output)

    def write(result: CalibrationResult) -> Companions:
        return model_directory.write(loaded, transaction, arguments.output, result)

    head_size = arguments.head_size or loaded.head_size
    missing = loaded.layers_without_weights
    return LoadedModel(loaded.model, batches, write, head_size, missing, notes, trial, distilling)


def _packed_batches(
    loaded: hugging_face.Loaded, arguments: CalibrateArguments
) -> hugging_face.PackedBatches:
    """Pack a text for a causal language model."""
    if arguments.max_tokens is not None:
        raise CommandError(
            "--max-tokens is for sentences, but the text is packed for a "
            f"{type(loaded.model).__name__}; expected --length"
        )
    length = arguments.length or min(DEFAULT_LENGTH, loaded.most_positions or DEFAULT_LENGTH)
    return hugging_face.packed_batches(
        loaded,
        Path(arguments.data),
        length,
        arguments.tokens,
        arguments.batch_size,
        arguments.distill_tokens,
    )


def _sentences(loaded: hugging_face.Loaded, arguments: CalibrateArguments) -> Iterable[Any]:
    """Take the lines of a text as sentences."""
    for option, value in (
        ("--length", arguments.length),
        ("--tokens", arguments.tokens),
        ("--distill-tokens", arguments.distill_tokens),
    ):
        if value is not None:
            raise CommandError(
                f"{option} is for causal language models, and a {type(loaded.model).__name__} "
                "takes sentences; expected --max-tokens"
            )
    path, size = Path(arguments.data), arguments.batch_size or 32
    return hugging_face.sentence_batches(loaded, path, size, arguments.max_tokens or 512)


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
