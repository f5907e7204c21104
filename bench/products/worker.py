"""One plan in a process of its own, as JSON: `python -m bench.products.worker layers`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import tnm_core as tnm
from bench.context import Context, Record
from bench.native import UnavailableError
from bench.products.measure_case import measure_case
from bench.products.plans import PLANS
from bench.products.roofline import measure_limits

TRAINING = "training"


def main(arguments: Sequence[str] | None = None) -> None:
    given = _parse(arguments)
    context = Context(Path(), given.quick)
    _limit_torch(given.threads)
    instruction_set = str(tnm.build_info()["instruction_set"])
    records = _training(context) if given.plan == TRAINING else _products(context, given)
    if given.limits:
        records.extend(_limits(context, instruction_set))
    for record in records:
        record |= {"plan": given.plan, "instruction_set": instruction_set}
    print(json.dumps(records))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", choices=[*PLANS, TRAINING])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limits", action="store_true", help="measure the roofline as well")
    parser.add_argument(
        "--held", action="store_true", help="leave out who cannot be held to an instruction set"
    )
    return parser.parse_args(arguments)


def _limit_torch(threads: int) -> None:
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(threads)


def _products(context: Context, given: argparse.Namespace) -> list[Record]:
    return [
        record
        for case in PLANS[given.plan](context.quick)
        for record in measure_case(case, given.threads, given.held, context.seconds, _say)
    ]


def _training(context: Context) -> list[Record]:
    from bench.products.training import measure_training

    return measure_training(context)


def _limits(context: Context, instruction_set: str) -> list[Record]:
    try:
        return [{"kind": "limits", **measure_limits(instruction_set, context.seconds)}]
    except UnavailableError as reason:
        _say(f"skipped: limits of the machine: {reason}")
        return []


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
