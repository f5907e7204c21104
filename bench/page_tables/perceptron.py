"""Accuracy of the perceptron of examples/train_from_scratch.py, by recipe, pattern and seed.

    python -m bench.page_tables.perceptron --docs docs

Takes two minutes of a core, and needs the extra torch and scikit-learn.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

from bench.context import note
from bench.output.figures import ROOT
from bench.output.kept_tables import PERCEPTRON, perceptron_table
from bench.page_tables.keeping import docs_option, finish

RECIPES = ("dense", "dynamic", "sr-ste", "fading")
PATTERNS = ("2:4", "2:8")
SEEDS = (0, 1, 2)
_SCRIPT = ROOT / "examples" / "train_from_scratch.py"


def measure(recipe: str, pattern: str, seed: int, epochs: int = 40) -> dict[str, Any]:
    """Run the example, as a user would, and take the accuracy that it prints."""
    words = ["--recipe", recipe, "--pattern", pattern, "--seed", str(seed)]
    done = subprocess.run(
        [sys.executable, str(_SCRIPT), *words, "--epochs", str(epochs)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = re.search(r"accuracy ([\d.]+)", done.stdout)
    if found is None:
        raise RuntimeError(f"{_SCRIPT} printed no accuracy:\n{done.stdout}")
    return {"recipe": recipe, "pattern": pattern, "seed": seed, "accuracy": float(found[1])}


def main() -> None:
    """Train all of them; a dense model has no pattern, and is trained once for each seed."""
    given = docs_option("python -m bench.page_tables.perceptron", __doc__).parse_args()
    runs = []
    for recipe in RECIPES:
        for pattern in PATTERNS if recipe != "dense" else PATTERNS[:1]:
            runs += [measure(recipe, pattern, seed) for seed in SEEDS]
            note(f"{recipe}, {pattern}: {[run['accuracy'] for run in runs[-len(SEEDS) :]]}")
    print(perceptron_table({"runs": runs}).markdown())
    finish({"runs": runs}, PERCEPTRON, given.docs)


if __name__ == "__main__":
    main()
