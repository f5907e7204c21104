"""``tnm eval``: measures of what a model is worth, put together."""

from __future__ import annotations

import typer

from tnm_core.cli.commands.eval_perplexity import eval_perplexity
from tnm_core.cli.help_texts import help_texts

eval_app = typer.Typer(
    help="Measure what a pruned model is worth beside the dense one.", rich_markup_mode=None
)
eval_app.command("perplexity", **help_texts("eval perplexity"))(eval_perplexity)


@eval_app.callback()
def _eval() -> None:
    """Measure what a pruned model is worth beside the dense one."""
