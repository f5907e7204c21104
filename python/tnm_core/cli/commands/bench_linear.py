"""``tnm bench linear``: measure whether sparse layers pay on this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from tnm_core.cli import options
from tnm_core.cli.console import print_json, report_head, stdout_console
from tnm_core.cli.errors import CommandError
from tnm_core.cli.tables import Table, print_paragraph, shape_text
from tnm_core.extras import how_to_install

if TYPE_CHECKING:
    from tnm_core.torch import LayerBenchmark

_DTYPES = ("bfloat16", "float16", "float32", "float64")
_LARGEST_SIDE = 1 << 20


def bench_linear(
    shape: Annotated[
        list[str],
        typer.Option(metavar="OUTxIN", help="Shape of the weight; may be repeated."),
    ],
    tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Rows of the input.")] = 4096,
    pattern: Annotated[
        str,
        typer.Option(
            "--pattern", "-p", metavar="N:M", help="N of M are kept; 'row N:M' along rows alone."
        ),
    ] = "2:4",
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="auto, cpu, cusparselt, dense (masked) or emulate; auto on CUDA and cpu on the "
            "CPU, if not given.",
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="bfloat16 on CUDA and float32 on the CPU, if not given."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="cuda if there is one, if not given; else cpu."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.001, help="About how long for each part.")
    ] = 0.2,
    table: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help='Add the figures to a table for backend="auto".'),
    ] = None,
    json_output: options.Json = False,
) -> None:
    """Time dense and sparse steps of linear layers; say whether to use them.

    A step is the forward product, the input gradient, the weight gradient (a dense product either
    way) and one packing of the sparse layer. With 'row 2:4' the input gradient is a dense product
    by the masked weight. With CUDA each part is measured with CUDA graphs, too.
    """
    torch, adapters = _torch()
    wanted = options.parse_pattern(pattern)
    layer = adapters.TransposableLinear if wanted.transposable else adapters.RowWiseLinear
    shapes = [_parse_shape(text) for text in shape]
    place = _place(device, torch.cuda.is_available())
    backend = backend or ("auto" if place.startswith("cuda") else "cpu")
    kind = {"backend": backend, "device": place, "dtype": getattr(torch, _dtype(dtype, place))}
    try:
        speeds = adapters.SpeedTable.load(table) if table and table.exists() else None
        results = [
            adapters.benchmark_layer(
                layer(columns, rows, True, wanted, **kind), tokens, seconds=seconds
            )
            for rows, columns in shapes
        ]
    except (ValueError, RuntimeError, AssertionError) as error:
        raise CommandError(str(error)) from None
    if table is not None:
        speeds = speeds or adapters.SpeedTable()
        for result in results:
            speeds.add(result.as_speed())
        speeds.save(table)
    if json_output:
        layers = [result.as_json() for result in results]
        print_json({**report_head("bench linear"), "layers": layers})
    else:
        _print(stdout_console(), results)


def _torch() -> tuple[Any, Any]:
    try:
        import torch
    except ImportError:
        raise CommandError(f"tnm bench needs torch: {how_to_install('torch')}") from None
    from tnm_core import torch as adapters

    return torch, adapters


def _place(device: str | None, has_cuda: bool) -> str:
    place = device or ("cuda" if has_cuda else "cpu")
    if re.fullmatch(r"cpu|cuda(:[0-9]{1,2})?", place) is None:
        raise CommandError(f"--device is {place!r}; expected cpu, cuda or cuda:N")
    if place.startswith("cuda") and not has_cuda:
        raise CommandError(f"--device is {place}, but torch finds no CUDA device; expected cpu")
    return place


def _dtype(dtype: str | None, place: str) -> str:
    name = dtype or ("bfloat16" if place.startswith("cuda") else "float32")
    return options.parse_choice(name, _DTYPES, "--dtype")


def _parse_shape(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,7})x([0-9]{1,7})", text.strip().lower())
    if match is not None:
        rows, columns = int(match[1]), int(match[2])
        if min(rows, columns) >= 1 and max(rows, columns) <= _LARGEST_SIDE:
            return rows, columns
    raise CommandError(f"--shape is {text!r}; expected OUTxIN, for example 4096x16384")


def _print(console: Console, results: list[LayerBenchmark]) -> None:
    first = results[0]
    title = f"{first.tokens} tokens, {first.dtype}, {first.pattern}, {first.device}"
    parts = [part.part for part in first.parts]
    table = Table(f"{title}: milliseconds", ("layer", "products by", *parts), left=2)
    for result in results:
        names = [shape_text(result.shape), result.backend]
        table.add_row(*names, *(f"{part.seconds * 1e3:.3f}" for part in result.parts))
        graphs = [part.graph_seconds for part in result.parts]
        if any(graph is not None for graph in graphs):
            cells = ("-" if graph is None else f"{graph * 1e3:.3f}" for graph in graphs)
            table.add_row("", "in a CUDA graph", *cells)
    table.print(console)
    for result in results:
        print_paragraph(console, f"{shape_text(result.shape)}: {result.verdict()}", indent=2)
