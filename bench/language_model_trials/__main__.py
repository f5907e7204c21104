"""Ideas for pruning SmolLM2, tried on its first blocks: perplexity on two kinds of text.

    python -m bench.language_model_trials                  # all, more than an hour on one core
    python -m bench.language_model_trials --trials '16:32 (best|rotated)'

The other blocks stay dense, so that a trial takes minutes. Results are kept in a file after each
trial, so that the next run goes on from there. Needs what the study of this model needs
(`python -m bench.post_training --model smollm2`).
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.language_model_trials.low_rank import add_low_rank_
from bench.language_model_trials.rotation import (
    concentrating,
    move_scales_,
    principal_axes,
    rotate_,
)
from bench.output.kept import keep
from bench.study.choice import matching
from bench.study.pruning import one_thread
from bench.study.runs import Result, Results, complete
from bench.study.smollm2 import SmolLM2
from bench.study.tables import markdown, with_table
from tnm_core.torch import prune_model_, remove_sparsity_
from tnm_core.torch.calibrate import collect_statistics, find_free_dimensions, permute_

PIECES, BLOCKS = 24, 6
LOW_RANK_SHARE = 1 / 32
PAGE = "post-training-study.md"


@dataclass(frozen=True)
class Trial:
    """A pattern, and what is done beside `"best"`."""

    pattern: str
    idea: str
    blocks: int = BLOCKS
    pieces: int = PIECES

    def __str__(self) -> str:
        return f"{self.pattern} {self.idea}"


IDEAS = ("best", "low rank", "rotated", "principal axes", "permuted", "tuned")
TRIALS = (
    Trial("dense", "nothing"),
    *(Trial("16:32", idea) for idea in IDEAS),
    Trial("17:32", "best"),
    *(Trial("2:4", idea) for idea in IDEAS),
)


def main() -> None:
    """Run what is missing; print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.language_model_trials", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--trials", default="", help="regular expression, such as '^2:4 best'")
    parser.add_argument("--out", type=Path, default=Path("build/language_model_trials"))
    parser.add_argument("--docs", type=Path, help=f"folder whose {PAGE} to bring up to date")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        wanted = [(one, 0) for one in matching(TRIALS, given.trials, "trials")]
        results = Results(given.out / "results.json", Trial)
    except ValueError as error:
        parser.error(str(error))
    try:
        complete(results, wanted, partial(run, SmolLM2()), 0, announce)
    except KeyboardInterrupt:
        kept = sum(one in results for one in wanted)
        sys.exit(f"interrupted; {results.path} holds {kept} of {len(wanted)} trials: start again")
    print(table(results.found))
    if given.docs is not None:
        page = given.docs / PAGE
        page.write_text(with_table(page.read_text(), table(results.found), same=1))
        keep(results.found, given.docs, "language-model-trials")


def announce(result: Result, done: int, total: int) -> None:
    """Print one line for each trial."""
    found = ", ".join(f"{name} {value:.3f}" for name, value in result["measures"].items())
    print(f"[{done}/{total}] {result['pattern']} {result['idea']}: {found}", flush=True)


def run(study: SmolLM2, trial: Trial, seed: int) -> Result:
    """Prune the first blocks of a fresh model, and measure the whole."""
    with one_thread():
        model = study.model()
        start = time.process_time()
        if trial.pattern != "dense":
            _prune_(study, model, trial, seed)
        seconds = time.process_time() - start
        measures = study.measure(model, seed)
    return {**asdict(trial), "seed": seed, "seconds": seconds, "measures": measures}


def _prune_(study: SmolLM2, model: Any, trial: Trial, seed: int) -> None:
    batches = study.calibration(seed, trial.pieces)
    layers = [f"model.layers.{index}.*" for index in range(trial.blocks)]
    if trial.idea in ("principal axes", "rotated"):
        _rotate_(model, batches, layers, trial.idea)
    if trial.idea == "permuted":
        free = find_free_dimensions(model, batches, head_size=study.facts.head_size)
        statistics = collect_statistics(model, batches, include=layers)
        permute_(model, _inside(free, trial.blocks), trial.pattern, statistics=statistics)
    recipe = "tuned" if trial.idea == "tuned" else "best"
    low_rank = trial.idea == "low rank"
    statistics = collect_statistics(model, batches, include=layers) if low_rank else None
    dense = {name: _weight(model, name).clone() for name in statistics.layers} if statistics else {}
    prune_model_(model, batches, trial.pattern, recipe, include=layers)
    remove_sparsity_(model)
    if statistics is not None:
        add_low_rank_(model, dense, statistics, LOW_RANK_SHARE)


def _rotate_(model: Any, batches: list[Any], layers: list[str], idea: str) -> None:
    move_scales_(model)
    statistics = collect_statistics(model, batches, include=layers)
    if idea == "rotated":
        with torch.enable_grad():
            rotate_(model, concentrating(model, statistics))
    else:
        rotate_(model, principal_axes(statistics))


def _inside(free: list[Any], blocks: int) -> list[Any]:
    """Keep the dimensions whose layers lie in the first blocks."""
    inside = tuple(f"model.layers.{index}." for index in range(blocks))
    return [one for one in free if all(name.startswith(inside) for name in _names(one))]


def _names(free: Any) -> tuple[str, ...]:
    return (*free.outputs, *free.inputs)


def _weight(model: nn.Module, name: str) -> torch.Tensor:
    weight = model.get_submodule(name).weight
    assert isinstance(weight, torch.Tensor)
    return weight.detach()


def table(results: list[Result]) -> str:
    """Perplexities, and how they compare with the dense ones."""
    dense = next((one["measures"] for one in results if one["pattern"] == "dense"), None)
    texts = list(results[0]["measures"])
    rows = []
    for one in sorted(results, key=_place):
        found = [one["measures"][text] for text in texts]
        times = ["" if dense is None else f"{one['measures'][t] / dense[t]:.3f}" for t in texts]
        idea = "" if one["pattern"] == "dense" else one["idea"]
        rows.append([one["pattern"], idea, *(f"{value:.2f}" for value in found), *times,
                     f"{one['seconds']:.0f}"])  # fmt: skip
    header = ["pattern", "idea", *texts, *(f"{text}, times dense" for text in texts), "CPU seconds"]
    return markdown(header, rows)


def _place(result: Result) -> int:
    order = [str(one) for one in TRIALS]
    return order.index(f"{result['pattern']} {result['idea']}")


if __name__ == "__main__":
    main()
