"""Training steps with packed weights, against dense layers in the same run."""

from __future__ import annotations

from bench.context import Context, Record
from bench.products import training_tables
from bench.products.launch import run_worker
from bench.sections.base import Section


def _run(context: Context) -> list[Record]:
    return run_worker(context, "training")


SECTION = Section(
    "products_training",
    "A training step",
    f"""\
Forward, backward with all gradients, optimizer and repacking, float32, one thread, in turns with
the same model of `torch.nn.Linear`. The gradient of the weights stays dense, so a step could at
best be 1.5 times as fast at half density and twice at a quarter, if nothing but products took time.
Repacking is part of every sparse step, and is timed once more alone. The last column adds one mask
search with its packing, timed alone, to every {training_tables.REFRESH_EVERY} steps. Sequences
of the transformer have 128 tokens; its attention and normalisation are dense.""",
    _run,
    training_tables.render,
    page="products",
)
