"""A whole model, packed, against the best that the dense one can be had for.

    make demo
    python -m bench.page_tables.whole_model --docs docs

Times the sentence encoder that `make demo` leaves in build/demo by `tnm bench model`, compiled and
in ONNX Runtime as well. Takes two minutes of an idle machine, and needs the extra onnxruntime.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

from bench.output.kept_tables import WHOLE_MODEL, whole_model_table
from bench.page_tables.keeping import docs_option, finish
from tnm_core.cli.run import run


def measure(demo: Path, seconds: float) -> dict[str, Any]:
    """Run the command, and take its report."""
    model, dense, texts = demo / "minilm-16-32", demo / "minilm", demo / "others.txt"
    words = ["bench", "model", str(model), str(texts), "--dense", str(dense), "--threads", "1"]
    words += ["--compile", "--onnxruntime", "--seconds", str(seconds), "--json"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = run(words)
    if status != 0:
        sys.exit(f"tnm {' '.join(words)} ended with status {status}")
    report: dict[str, Any] = json.loads(out.getvalue())
    named = ("dtype", "threads", "speeds", "changes", "memory")
    return {"seconds": seconds, **{name: report[name] for name in named}}


def main() -> None:
    """Measure, and say it as a table."""
    parser = docs_option("python -m bench.page_tables.whole_model", __doc__)
    parser.add_argument("--demo", type=Path, default=Path("build/demo"))
    parser.add_argument("--seconds", type=float, default=20.0, help="for each size of batches")
    given = parser.parse_args()
    results = measure(given.demo, given.seconds)
    print(whole_model_table(results).markdown())
    finish(results, WHOLE_MODEL, given.docs)


if __name__ == "__main__":
    main()
