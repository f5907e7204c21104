"""``tnm eval perplexity``: how well a language model predicts a text, dense and pruned."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from tnm_core.cli import options
from tnm_core.cli.console import print_json, report_head, stdout_console
from tnm_core.cli.errors import CommandError
from tnm_core.cli.packages import is_installed
from tnm_core.cli.progress import share_bar
from tnm_core.cli.tables import Table, print_paragraph
from tnm_core.extras import how_to_install

if TYPE_CHECKING:
    from tnm_core.cli.evaluation import PerplexityReport


def eval_perplexity(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A directory in the layout of Hugging Face with a causal language model, or a "
            ".gguf file.",
            show_default=False,
        ),
    ],
    text: Annotated[
        Path,
        typer.Argument(metavar="TEXT", help="A text file in UTF-8.", show_default=False),
    ],
    dense: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also measure the model before pruning, on the same tokens.",
            show_default=False,
        ),
    ] = None,
    length: Annotated[int, typer.Option(metavar="N", min=2, help="Tokens of a window.")] = 1024,
    stride: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Tokens from the beginning of a window to that of the next; half of --length if "
            "not given.",
            show_default=False,
        ),
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            help="Take the first so many tokens of the text; all if not given.",
            show_default=False,
        ),
    ] = None,
    threads: options.Threads = None,
    json_output: options.Json = False,
) -> None:
    """Measure the perplexity of a causal language model on a text, by a window that slides over it.

    Each token of the text is predicted once, in float32, from at least --length minus --stride
    tokens before it if there are so many. Compare only perplexities of one text, length, stride
    and tokenizer. Nothing is fetched from the network.
    """
    for package in ("torch", "transformers"):
        if not is_installed(package):
            raise CommandError(
                f"tnm eval perplexity needs the package {package}: {how_to_install('transformers')}"
            )
    stride = length // 2 if stride is None else stride
    if stride >= length:
        raise CommandError(
            f"--stride is {stride}; expected less than --length {length}, so that each token has "
            "another one before it"
        )
    from tnm_core.cli.evaluation import PerplexityArguments, measure_perplexity
    from tnm_core.cli.hugging_face import is_model

    for path in (model, dense):
        if path is not None and not is_model(path):
            raise CommandError(
                f"{path} is no directory; expected one in the layout of Hugging Face, or a .gguf "
                "file"
            )
    arguments = PerplexityArguments(model, text, dense, length, stride, tokens, threads)
    with share_bar("measuring") as update:
        report = measure_perplexity(arguments, update)
    if json_output:
        print_json({**report_head("eval perplexity"), "text": str(text), **report.as_json()})
    else:
        _print(stdout_console(), report)


def _print(console: Console, report: PerplexityReport) -> None:
    headers = ("model", "perplexity", "loss, nats", "standard error", "tokens", "windows")
    table = Table(f"Perplexity: windows of {report.length}, every {report.stride}", headers, left=1)
    for name, one in report.found.items():
        scatter = "-" if math.isnan(one.standard_error) else f"{one.standard_error:.4f}"
        table.add_row(
            name,
            f"{one.perplexity:,.3f}",
            f"{one.loss:.4f}",
            scatter,
            f"{one.tokens:,}",
            str(one.windows),
        )
    table.print(console)
    if report.ratio is not None:
        told = f"the pruned model's perplexity is {report.ratio:.3f} times that of the dense one"
        print_paragraph(console, told)
    if report.used < report.tokens:
        print_paragraph(console, f"the first {report.used:,} of {report.tokens:,} tokens")
