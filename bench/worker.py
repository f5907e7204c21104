"""Rates under the instruction set of this process, as JSON: `python -m bench.worker`."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import tnm_core as tnm
from bench.context import Context, Record
from bench.sections.base import MAIN_M
from bench.throughput import matrix, solver_record

DISTRIBUTIONS = ("normal", "zeros")
HASHED_SIDE = 1024


def _record(context: Context, distribution: str, m: int) -> Record:
    weights = matrix(distribution, HASHED_SIDE, m // 2, m, "float32", "C")
    mask = tnm.transposable_mask(weights, m // 2, m)
    return {
        **solver_record(context, distribution, m // 2, m),
        "sha256": hashlib.sha256(mask.tobytes()).hexdigest(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    context = Context(Path(), parser.parse_args().quick)
    result = {
        "instruction_set": tnm.build_info().get("instruction_set"),
        "records": [_record(context, name, m) for name in DISTRIBUTIONS for m in MAIN_M],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
