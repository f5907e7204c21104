"""``tnm bench``: what sparse layers and models gain on this machine, put together."""

from __future__ import annotations

import typer

from tnm_core.cli.commands.bench_linear import bench_linear
from tnm_core.cli.commands.bench_model import bench_model
from tnm_core.cli.help_texts import help_texts

bench_app = typer.Typer(
    help="Measure whether sparse layers pay on this machine.", rich_markup_mode=None
)
bench_app.command("linear", **help_texts("bench linear"))(bench_linear)
bench_app.command("model", **help_texts("bench model"))(bench_model)


@bench_app.callback()
def _bench() -> None:
    """Measure whether sparse layers pay on this machine."""
