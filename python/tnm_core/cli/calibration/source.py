"""Where a model and its data come from, and how the result goes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
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
from tnm_core.cli.options import refuse_given
from tnm_core.cli.references import EXPECTED, is_reference
from tnm_core.cli.targets import check_unused

# Images that are taken of a folder, all of which are held in memory, and how many in a batch; the
# latter also holds for sentences.
MOST_IMAGES, BATCH_SIZE = 512, 32
# Tokens of a piece of text for a causal language model, and of what orders of units are tried on:
# such a model runs hundreds of times for that, and a short text shows as much as a long one. For a
# scan of patterns it does so, too, on one piece.
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
    images: int | None = None


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
    scanned: Sequence[Any] | None = None  # batches to scan patterns with, likewise
    distill_batches: Iterable[Any] | None = None


def open_source(arguments: CalibrateArguments, transaction: FileTransaction) -> LoadedModel:
    """Load model and data, after a look at whether the result can be written."""
    kind = _kind_of(arguments.data)
    _check_options(arguments, kind)
    if hugging_face.is_model(Path(arguments.model)):
        return _from_folder(arguments, kind, transaction)
    _check_reference("MODEL", arguments.model, "a directory or a .gguf file")
    if kind is not _Data.FUNCTION:
        brought = "tokenizer" if kind is _Data.TEXT else "image processor"
        raise CommandError(
            f"{arguments.data} is {kind.value}, but {arguments.model} brings no {brought}; "
            f"expected {EXPECTED}, which returns batches"
        )
    return _from_reference(arguments, transaction)


class _Data(Enum):
    """What DATA is."""

    TEXT = "a file"
    IMAGES = "a folder"
    FUNCTION = "a function"


def _kind_of(data: str) -> _Data:
    if Path(data).is_dir():
        return _Data.IMAGES
    if Path(data).is_file() and not data.endswith(".py"):
        return _Data.TEXT
    _check_reference("DATA", data, "a text file or a folder of images")
    return _Data.FUNCTION


def _check_options(arguments: CalibrateArguments, kind: _Data) -> None:
    """Refuse options that are for other data."""
    of_texts = {
        "--max-tokens": arguments.max_tokens,
        "--length": arguments.length,
        "--tokens": arguments.tokens,
        "--distill-tokens": arguments.distill_tokens,
    }
    of_images = {"--images": arguments.images}
    both = {"--batch-size": arguments.batch_size}
    if kind is _Data.FUNCTION:
        expected = "a text file or a folder of images"
        told = f"{arguments.data} makes its batches itself"
        refuse_given(both | of_texts | of_images, expected, told)
    elif kind is _Data.IMAGES:
        told = f"{arguments.data} is a folder of images, of which --images takes so many"
        refuse_given(of_texts, "a text file", told)
    else:
        refuse_given(of_images, "a folder of images", f"{arguments.data} is a text file")


def _from_folder(
    arguments: CalibrateArguments, kind: _Data, transaction: FileTransaction
) -> LoadedModel:
    path = Path(arguments.model)
    folder = path if path.is_dir() else path.parent
    check_target(folder, arguments.output, {model_directory.WEIGHTS}, arguments.force)
    loaded = hugging_face.load(path)
    batches: Iterable[Any]
    distilling = trial = scanned = None
    notes = loaded.notes
    if kind is _Data.TEXT and loaded.is_causal:
        packed = _packed_batches(loaded, arguments)
        batches, distilling = packed.batches, packed.others
        notes += packed.notes
        first, middle = packed.batches[0], packed.batches[len(packed.batches) // 2]
        trial = [{name: value[:1, :_TRIED_TOKENS] for name, value in first.items()}]
        scanned = [{name: value[:1] for name, value in middle.items()}]
    elif kind is _Data.IMAGES:
        pictures = _images(loaded, arguments)
        batches, notes = pictures.batches, notes + pictures.notes
    else:
        is_text = kind is _Data.TEXT
        batches = _sentences(loaded, arguments) if is_text else batches_of(arguments.data)
    transaction.make_folder(arguments.output)

    def write(result: CalibrationResult) -> Companions:
        return model_directory.write(loaded, transaction, arguments.output, result)

    head_size = arguments.head_size or loaded.head_size
    missing = loaded.layers_without_weights
    return LoadedModel(
        loaded.model, batches, write, head_size, missing, notes, trial, scanned, distilling
    )


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
    kind = type(loaded.model).__name__
    options = {
        "--length": arguments.length,
        "--tokens": arguments.tokens,
        "--distill-tokens": arguments.distill_tokens,
    }
    instead = f"a {kind} takes sentences, which --max-tokens cuts"
    refuse_given(options, "causal language models", instead)
    path, size = Path(arguments.data), arguments.batch_size or BATCH_SIZE
    return hugging_face.sentence_batches(loaded, path, size, arguments.max_tokens or 512)


def _images(
    loaded: hugging_face.Loaded, arguments: CalibrateArguments
) -> hugging_face.ImageBatches:
    """Take the images of a folder."""
    folder, size = Path(arguments.data), arguments.batch_size or BATCH_SIZE
    wanted = arguments.images or MOST_IMAGES
    pictures = hugging_face.image_batches(loaded, folder, size, wanted)
    few = arguments.images is not None and pictures.found < arguments.images
    told = f"{folder} has {pictures.found:,} images, fewer than --images {arguments.images}"
    return replace(pictures, notes=(*pictures.notes, *([told] if few else [])))


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
        names = {name: name for name in model.state_dict()}
        write_state_dict(file, model, result.metadata(names))
        return Companions()

    return LoadedModel(model, batches_of(arguments.data), write, arguments.head_size)


def _check_reference(argument: str, text: str, other: str) -> None:
    if not is_reference(text):
        raise CommandError(f"{argument} is {text!r}; expected {EXPECTED}, or {other} that exists")
