"""The commands of ``tnm``, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from tnm_core.cli.commands import (
    bench_app,
    calibrate,
    check,
    convert,
    diversity,
    eval_app,
    inspect,
    plot_app,
    prune,
)
from tnm_core.cli.help_texts import CONTEXT, help_texts, short_help
from tnm_core.cli.packages import version_report

app = typer.Typer(
    name="tnm",
    help="Transposable N:M sparsity for checkpoints: N of M are kept, in every row and every "
    "column of every M x M tile.",
    context_settings=CONTEXT,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (prune, calibrate, check, inspect, convert, diversity):
    app.command(**help_texts(command.__name__))(command)
app.add_typer(plot_app, name="plot", short_help=short_help("plot"))
app.add_typer(eval_app, name="eval", short_help=short_help("eval"))
app.add_typer(bench_app, name="bench", short_help=short_help("bench"))


def _show_version(wanted: bool) -> None:
    if wanted:
        print(version_report())
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show versions, as a report of an error needs them.",
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
