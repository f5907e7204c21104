"""``tnm bench model``: how much faster a pruned model runs on this machine when it is packed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from tnm_core.cli import options
from tnm_core.cli.console import print_json, report_head, stdout_console
from tnm_core.cli.errors import CommandError
from tnm_core.cli.packages import is_installed
from tnm_core.cli.progress import share_bar
from tnm_core.cli.skips import names_by_reason
from tnm_core.cli.tables import Table, print_paragraph, print_skipped
from tnm_core.extras import how_to_install

if TYPE_CHECKING:
    from tnm_core.cli.model_speed import SpeedReport

_DTYPES = ("float32", "bfloat16")
_MB = 1e6
_DECIMALS = {"sentences": 1, "images": 1, "tokens": 0}


def bench_model(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A directory in the layout of Hugging Face with pruned weights, as tnm calibrate "
            "writes it.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A text file with one sentence per line; any text for a causal language model; a "
            "folder of images for a model that takes those.",
            show_default=False,
        ),
    ],
    dense: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also compare outputs with those of the model before pruning.",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[
        list[int] | None,
        typer.Option(
            "--batch-size",
            metavar="N",
            min=1,
            help="Sentences or images in a batch; may be repeated (1, 8 and 32). Texts side by "
            "side for a causal language model (1).",
            show_default=False,
        ),
    ] = None,
    dtype: Annotated[
        str, typer.Option(metavar="NAME", help="float32 or bfloat16, of both models.")
    ] = "float32",
    threads: options.Threads = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            metavar="N",
            min=1,
            help="Cut longer sentences (512).",
            show_default=False,
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="For a causal language model: tokens of a prompt (512).",
            show_default=False,
        ),
    ] = None,
    new_tokens: Annotated[
        int | None,
        typer.Option(
            "--new-tokens",
            metavar="N",
            min=1,
            help="For a causal language model: tokens that follow, one by one (32).",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0.001,
            help="About how long for each batch size; few batches count where it is short.",
        ),
    ] = 10.0,
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="Also measure both under torch.compile (a C++ compiler)."),
    ] = False,
    onnxruntime: Annotated[
        bool,
        typer.Option("--onnxruntime", help="Also measure the dense model in ONNX Runtime."),
    ] = False,
    json_output: options.Json = False,
) -> None:
    """Time a pruned model dense and packed, in turns on the same data, on the CPU.

    The masks are the zeros of the weights; nothing is searched for. Beside the speeds stand how far
    outputs move, which packing does not change but for rounding, and the memory of the weights.
    A causal language model is timed in prefill (a prompt at once) and in decoding (token by token,
    with a cache of keys and values).
    Nothing is fetched from the network.
    """
    _check_packages(onnxruntime)
    dtype = options.parse_choice(dtype, _DTYPES, "--dtype")
    if onnxruntime and dtype != "float32":
        raise CommandError(
            f"--onnxruntime is measured in float32, --dtype is {dtype}; leave one out"
        )
    from tnm_core.cli.hugging_face import is_model
    from tnm_core.cli.model_speed import SpeedArguments, measure_speed

    for folder in (model, dense):
        if folder is not None and not is_model(folder):
            raise CommandError(
                f"{folder} is no directory; expected one in the layout of Hugging Face"
            )
    arguments = SpeedArguments(
        model,
        data,
        dense,
        tuple(dict.fromkeys(batch_size)) if batch_size else None,
        dtype,
        threads,
        max_tokens,
        seconds,
        compiled,
        onnxruntime,
        length,
        new_tokens,
    )
    with share_bar("measuring") as update:
        report = measure_speed(arguments, update)
    if json_output:
        print_json({**report_head("bench model"), "model": str(model), **report.as_json()})
    else:
        _print(stdout_console(), report)


def _check_packages(onnxruntime: bool) -> None:
    needed = dict.fromkeys(("torch", "transformers"), "transformers")
    if onnxruntime:
        needed |= dict.fromkeys(("onnx", "onnxruntime", "onnxscript"), "onnxruntime")
    for package, extra in needed.items():
        if not is_installed(package):
            raise CommandError(
                f"tnm bench model needs the package {package}: {how_to_install(extra)}"
            )


def _print(console: Console, report: SpeedReport) -> None:
    if report.changes:
        _print_changes(console, report)
    packing, (dense, packed) = report.packing, report.packed_bytes
    print_paragraph(
        console,
        f"{len(packing.packed)} layers packed: their weights take {packed / _MB:.1f} MB, "
        f"{dense / _MB:.1f} MB dense ({packed / dense:.2f}); the model "
        f"{packing.bytes_after / _MB:.1f} MB, {packing.bytes_before / _MB:.1f} MB before",
        indent=2,
    )
    print_skipped(console, names_by_reason(packing.skips))
    console.print()
    if report.generation:
        _print_generation(console, report)
    else:
        _print_speeds(console, report)


def _print_generation(console: Console, report: SpeedReport) -> None:
    first = report.generation[0]
    headers = ("texts", "model", "prefill, tokens/s", "speed-up", "decode, tokens/s", "speed-up")
    title = (
        f"Speed, {report.dtype}, {_threads(report)}: prompts of {first.prompt_tokens} tokens, then "
        f"{first.new_tokens} one by one"
    )
    table = Table(title, headers, left=2)
    for speed in report.generation:
        for position, name in enumerate(speed.seconds):
            (prefill, decode), (faster, decodes_faster) = speed.rates(name), speed.speedups(name)
            table.add_row(
                str(speed.batch_size) if position == 0 else "",
                name,
                f"{prefill:,.0f}",
                f"{faster:.2f}",
                f"{decode:,.1f}",
                f"{decodes_faster:.2f}",
            )
    table.print(console)


def _threads(report: SpeedReport) -> str:
    return "1 thread" if report.threads == 1 else f"{report.threads} threads"


def _print_speeds(console: Console, report: SpeedReport) -> None:
    units = [f"{unit}/s" for unit in report.speeds[0].counts]
    headers = ("batch", "model", "speed-up", *units, "ms a batch")
    table = Table(f"Speed, {report.dtype}, {_threads(report)}", headers, left=2)
    for speed in report.speeds:
        batches = -(-speed.samples // speed.batch_size)
        for position, (name, seconds) in enumerate(speed.seconds.items()):
            table.add_row(
                str(speed.batch_size) if position == 0 else "",
                name,
                f"{speed.speedup(name):.2f}",
                *(f"{rate:,.{_DECIMALS[unit]}f}" for unit, rate in speed.rates(name).items()),
                f"{seconds / batches * 1e3:,.2f}",
            )
    table.print(console)


def _print_changes(console: Console, report: SpeedReport) -> None:
    headers = ("model", "against", "largest difference", "of", "mean cosine", "least cosine")
    table = Table("Change of the outputs", headers, left=2)
    for (variant, against), change in report.changes.items():
        table.add_row(
            variant,
            against,
            f"{change.largest:.1e}",
            f"{change.scale:.2f}",
            f"{change.mean_cosine:.6f}",
            f"{change.least_cosine:.6f}",
        )
    table.print(console)
