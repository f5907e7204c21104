"""Load a pruned model, make its variants, time them and compare what they return."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from tnm_core.cli.errors import CommandError
from tnm_core.cli.hugging_face import Loaded, load, packed_pieces
from tnm_core.cli.model_speed.generation import GenerationSpeed, generation_speed
from tnm_core.cli.model_speed.onnx_runtime import OnnxRuntimeModel
from tnm_core.cli.model_speed.output_change import OutputChange, output_change
from tnm_core.cli.model_speed.rounds import Batch, best_seconds, some_of
from tnm_core.cli.model_speed.samples import Samples, count_of, images_of, sentences_of
from tnm_core.cli.model_speed.speed_report import BatchSpeed, SpeedReport
from tnm_core.cli.model_speed.variants import DENSE, Variants, variants_of
from tnm_core.cli.options import refuse_given
from tnm_core.cli.references import foreign_errors

# Sentences or images whose outputs are compared.
_COMPARED, _COMPARED_BATCH = 256, 16
# The same of pieces of a text for a causal language model, whose outputs are large.
_COMPARED_PIECES = 4
DEFAULT_SIZES, DEFAULT_MOST_TOKENS = (1, 8, 32), 512
DEFAULT_TEXTS, DEFAULT_LENGTH, DEFAULT_NEW_TOKENS = (1,), 512, 32
MASKED = "the masked model"
ONNX_RUNTIME = "dense, ONNX Runtime"


@dataclass(frozen=True)
class SpeedArguments:
    """Arguments of the command, as they were written; None where they were not.

    `data` is a text or a folder of images. `length` and `new_tokens` are for causal language
    models, `most_tokens` is for sentences.
    """

    model: Path
    data: Path
    original: Path | None
    batch_sizes: tuple[int, ...] | None
    dtype: str
    threads: int | None
    most_tokens: int | None
    seconds: float
    compiled: bool
    onnxruntime: bool
    length: int | None = None
    new_tokens: int | None = None


def measure_speed(arguments: SpeedArguments, advance: Callable[[float], None]) -> SpeedReport:
    """Measure a model; `advance` is told the share that is done."""
    loaded = load(arguments.model)
    if loaded.is_causal and not arguments.data.is_dir():
        return _measure_generation(loaded, arguments, advance)
    samples = _samples(loaded, arguments)
    sizes = arguments.batch_sizes or DEFAULT_SIZES
    compared = _spread(samples.batches(_compared_size(sizes)), _COMPARED)
    variants = variants_of(loaded.model, getattr(torch, arguments.dtype), arguments.compiled)
    with _threads(arguments.threads), torch.inference_mode():
        if arguments.compiled:
            _compile(variants, compared[0])
        if arguments.onnxruntime:
            _add_onnx_runtime(variants, compared[0])
        with foreign_errors("the model failed"):
            changes = _changes(variants, arguments.original, compared)
            speeds = []
            for position, size in enumerate(sizes):
                step = _share(advance, position, len(sizes))
                speeds.append(_speed(variants, size, samples, arguments.seconds, step))
        threads = torch.get_num_threads()
    return SpeedReport(arguments.dtype, threads, speeds, changes, variants.packing)


def _measure_generation(
    loaded: Loaded, arguments: SpeedArguments, advance: Callable[[float], None]
) -> SpeedReport:
    """Time prefill and decoding of a causal language model."""
    _check_for_generation(loaded, arguments)
    sizes = arguments.batch_sizes or DEFAULT_TEXTS
    length, new_tokens = _lengths(loaded, arguments)
    whole = length + new_tokens
    pieces = packed_pieces(loaded, arguments.data, whole)
    variants = variants_of(loaded.model, getattr(torch, arguments.dtype), compiled=False)
    compared = [{"input_ids": one[None, :length]} for one in pieces[:_COMPARED_PIECES]]
    speeds: list[GenerationSpeed] = []
    with _threads(arguments.threads), torch.inference_mode(), foreign_errors("the model failed"):
        changes = _changes(variants, arguments.original, compared)
        for position, size in enumerate(sizes):
            texts = pieces[torch.arange(size) % len(pieces)]
            step = _share(advance, position, len(sizes))
            speeds.append(generation_speed(variants.models, texts, length, arguments.seconds, step))
        threads = torch.get_num_threads()
    return SpeedReport(arguments.dtype, threads, [], changes, variants.packing, speeds)


def _check_for_generation(loaded: Loaded, arguments: SpeedArguments) -> None:
    kind = type(loaded.model).__name__
    for option, given in (
        ("--max-tokens", arguments.most_tokens is not None),
        ("--compile", arguments.compiled),
        ("--onnxruntime", arguments.onnxruntime),
    ):
        if given:
            raise CommandError(
                f"{option} is for models of sentences, and a {kind} is timed in prefill and "
                "decoding; leave it out"
            )
    whole = sum(_lengths(loaded, arguments))
    most = loaded.most_positions
    if most is not None and whole > most:
        raise CommandError(
            f"--length and --new-tokens make {whole} tokens; expected at most {most} together, as "
            f"the configuration in {loaded.folder} says"
        )


def _lengths(loaded: Loaded, arguments: SpeedArguments) -> tuple[int, int]:
    """Return how many tokens to read and to make; by default no more than the model takes."""
    new_tokens = arguments.new_tokens or DEFAULT_NEW_TOKENS
    usual = min(DEFAULT_LENGTH, (loaded.most_positions or DEFAULT_LENGTH * 2) - new_tokens)
    return arguments.length or max(1, usual), new_tokens


def _share(advance: Callable[[float], None], position: int, count: int) -> Callable[[float], None]:
    """Tell the share of the whole from that of one of several parts."""
    return lambda share: advance((position + share) / count)


def _samples(loaded: Loaded, arguments: SpeedArguments) -> Samples:
    """Say what a model is timed on, after a look at whether the options are for that."""
    options = {"--length": arguments.length, "--new-tokens": arguments.new_tokens}
    if arguments.data.is_dir():
        options["--max-tokens"] = arguments.most_tokens
        refuse_given(options, "a text", f"{arguments.data} is a folder of images")
        return images_of(loaded, arguments.data)
    instead = f"a {type(loaded.model).__name__} takes sentences, which --max-tokens cuts"
    refuse_given(options, "causal language models", instead)
    return sentences_of(loaded, arguments.data, arguments.most_tokens or DEFAULT_MOST_TOKENS)


def _compared_size(sizes: tuple[int, ...]) -> int:
    """Take samples one by one where the user does, whose tokenizer may not pad."""
    return min(_COMPARED_BATCH, max(sizes))


def _spread(batches: list[Batch], most: int) -> list[Batch]:
    """Take batches of all lengths until there are so many samples."""
    step = max(1, len(batches) * count_of(batches[0]) // most)
    return batches[::step]


@contextmanager
def _threads(wanted: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _compile(variants: Variants, batch: Batch) -> None:
    for name, model in variants.models.items():
        with foreign_errors(f"torch.compile of the {name} model failed; leave out --compile"):
            model(**batch)


def _add_onnx_runtime(variants: Variants, batch: Batch) -> None:
    with foreign_errors("cannot take the model to ONNX Runtime; leave out --onnxruntime"):
        variants.models[ONNX_RUNTIME] = OnnxRuntimeModel(
            variants.models[DENSE], batch, torch.get_num_threads()
        )


def _changes(
    variants: Variants, original: Path | None, batches: list[Batch]
) -> dict[tuple[str, str], OutputChange]:
    models = variants.models
    others = {MASKED: variants.reference}
    if original is not None:
        others[str(original)] = load(original).model
    changes = {
        (variant, against): output_change(model, other, batches)
        for against, other in others.items()
        for variant, model in models.items()
        if model is not other
    }
    if not all(torch.isfinite(torch.tensor(one.largest)) for one in changes.values()):
        raise CommandError("outputs are not finite; expected a model that works")
    return changes


def _speed(
    variants: Variants,
    size: int,
    samples: Samples,
    seconds: float,
    advance: Callable[[float], None],
) -> BatchSpeed:
    some = some_of(variants.models, samples.batches(size), seconds)
    best = best_seconds(variants.models, some, seconds, advance)
    return BatchSpeed(size, samples.unit, sum(map(count_of, some)), samples.tokens(some), best)
