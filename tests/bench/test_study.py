"""The study of post-training pruning, on a small encoder: variants, runs, tables, picture."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tnm_core as tnm
from bench import machine, post_training
from bench.study import speeds
from bench.study.measures import (
    mean_cosine,
    same_neighbour,
    similarity_correlation,
)
from bench.study.picture import picture
from bench.study.pruning import MIXED, run
from bench.study.runs import Results, complete
from bench.study.speeds import Timed, complete_speeds
from bench.study.study_model import Facts
from bench.study.tables import quality, seconds_by_layer, with_table
from bench.study.variants import (
    BRIEF,
    DENSE,
    DISTILLED,
    ENCODER,
    NOTHING,
    PATTERNS,
    Variant,
    chosen_variants,
    full_grid,
)
from tests.support.small_encoder import BATCH, sentences, small_encoder

SAMPLES = 6 * BATCH
SEEDS = 2
DISTILLED_WITH = 6 * BATCH
KINDS = {
    r"attention\.self\.": "query, key, value",
    r"attention\.output\.": "attention output",
    r"intermediate\.": "feed-forward up",
    r"output\.": "feed-forward down",
}
FACTS = Facts(
    "small",
    "a small encoder",
    ENCODER,
    samples=SAMPLES,
    most_samples=SAMPLES,
    distilled=DISTILLED_WITH,
    most_distilled=2 * DISTILLED_WITH,
    sample="sentences",
    head_size=16,
    kinds=KINDS,
)


@dataclass(frozen=True)
class SmallEncoder:
    @property
    def facts(self) -> Facts:
        return FACTS

    def model(self) -> Any:
        return small_encoder()

    def calibration(self, seed: int, samples: int) -> list[dict[str, Any]]:
        return sentences(seed, samples // BATCH)

    def distillation(self, seed: int, samples: int) -> list[dict[str, Any]]:
        return sentences(seed, samples // BATCH)

    @torch.no_grad()
    def measure(self, model: Any, seed: int) -> dict[str, float]:
        held_out = sentences(100 + seed)
        dense, pruned = (
            torch.cat([one(**batch) for batch in held_out]) for one in (small_encoder(), model)
        )
        return {
            "cosine": mean_cosine(dense, pruned),
            "same neighbour": same_neighbour(dense, pruned),
            "error": float((dense - pruned).square().sum(1).mean()),
        }

    def speeds(self, dense: Any, packed: Any) -> dict[str, float]:
        return {"times dense": 1.25}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Results[Variant]:
    """The default variants on two seeds."""
    results = Results(tmp_path_factory.mktemp("study") / "results.json", Variant)
    variants = chosen_variants(ENCODER, samples=SAMPLES, distilled=DISTILLED_WITH)
    wanted = [(variant, seed) for seed in range(SEEDS) for variant in variants]
    complete(results, wanted, partial(run, SmallEncoder()), workers=0)
    assert len(results.found) == len(wanted)
    return results


def _values(results: Results[Variant], variant: Variant, measure: str) -> list[float]:
    found = [
        one["measures"][measure]
        for one in results.found
        if one["pattern"] == variant.pattern
        and (one["recipe"], one["method"]) == (variant.recipe, variant.method)
    ]
    assert len(found) == SEEDS
    return found


def test_better_recipes_and_larger_tiles_lose_less(kept: Results[Variant]) -> None:
    def error(pattern: str, recipe: str) -> float:
        return float(np.mean(_values(kept, Variant(pattern, recipe), "error")))

    recipes = ("tuned", "best", "sequential", "least_squares", "wanda", "magnitude")
    errors = [error("2:4", recipe) for recipe in recipes]
    assert errors == sorted(errors)
    assert 1.2 * errors[0] < errors[2]
    assert 1.2 * error("16:32", "best") < error("2:4", "best")
    cosines = [min(_values(kept, Variant("2:4", recipe), "cosine")) for recipe in recipes]
    assert cosines == sorted(cosines, reverse=True)


def test_optimal_masks_keep_the_most() -> None:
    layers = {}
    for method in ("optimal", "two_approximation", "greedy"):
        result = run(SmallEncoder(), Variant("2:4", "magnitude", method, SAMPLES), seed=0)
        assert len(result["layers"]) == 12
        layers[method] = np.array([layer["retained"] for layer in result["layers"]])
    for method in ("two_approximation", "greedy"):
        assert (layers["optimal"] >= layers[method] - 1e-12).all()
        assert layers["optimal"].sum() > layers[method].sum() + 1e-3


def test_results_of_a_run(kept: Results[Variant]) -> None:
    for one in kept.found:
        assert one["recipe"] != NOTHING or one["layers"] == []
        assert one["seconds"] >= sum(layer["seconds"] for layer in one["layers"]) - 1e-9
        assert all(layer["seconds"] > 0 for layer in one["layers"])
        if one["recipe"] == "allocated":
            told, patterns = one["allocated"], {layer["pattern"] for layer in one["layers"]}
            assert told["cost"] <= 0.5
            assert told["loss"] < told["uniform loss"]
            assert len(patterns) > 1
            assert patterns <= set(MIXED)
        elif one["recipe"] != NOTHING:
            assert {layer["pattern"] for layer in one["layers"]} == {one["pattern"]}
        else:
            assert one["measures"]["error"] == 0
        if one["recipe"] == "permuted":
            assert one["permuted"]["before"] < one["permuted"]["after"]


def _speed(pattern: str, machine: str) -> dict[str, Any]:
    return {"pattern": pattern, "machine": machine, "measures": {"times dense": 1.25}}


def test_each_pattern_is_timed_once_on_a_machine(
    kept: Results[Variant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []

    def pack(model: Any, include: list[str]) -> None:
        weights = [model.get_submodule(name).weight.detach().numpy() for name in include]
        fitting = [
            {pattern for pattern in (*PATTERNS, *MIXED) if _fits(weight, pattern)}
            for weight in weights
        ]
        seen.append(set.intersection(*fitting) if len(fitting) == 12 else set())

    monkeypatch.setattr(speeds, "pack_for_inference_", pack)
    timed = Results(tmp_path / "speeds.json", Timed)
    for _ in range(2):
        complete_speeds(timed, kept.found, SmallEncoder())
    patterns = [one["pattern"] for one in timed.found]
    assert sorted(patterns) == sorted({one["pattern"] for one in kept.found} - {DENSE})
    assert all(one["measures"] == {"times dense": 1.25} for one in timed.found)
    for pattern, found in zip(patterns, seen, strict=True):
        assert pattern == "mixed" or pattern in found
    monkeypatch.setattr(machine, "hardware", lambda: "another machine")
    complete_speeds(timed, kept.found, SmallEncoder())
    assert [one["pattern"] for one in timed.found] == 2 * patterns
    assert Results(timed.path, Timed).found == timed.found


def test_nothing_to_gain_from_sparse_products_is_told(
    kept: Results[Variant], tmp_path: Path
) -> None:
    timed = Results(tmp_path / "speeds.json", Timed)
    (best,) = (one for one in kept.found if one["recipe"] == "permuted" and one["seed"] == 0)
    told: list[Any] = []
    complete_speeds(timed, [best], SmallEncoder(), lambda one, *_: told.append(one))
    assert told == timed.found
    (one,) = told
    assert (one["measures"] == {}) == ("dense is faster" in one.get("not packed", ""))


def _fits(weight: Any, pattern: str) -> bool:
    return bool(tnm.check_mask(weight != 0, pattern).valid)


def test_rows_of_another_machine_are_named(kept: Results[Variant]) -> None:
    found = [
        {**one, "machine": "most", "software": "S", "date": "2026-01-02"} for one in kept.found
    ]
    found[0] |= {"machine": "another", "date": "2026-01-01"}
    assert post_training.how_measured(found, replace(FACTS, seeds=SEEDS)) == (
        "`python -m bench.post_training --model small` on\nmost, one thread a run, S, 2026-01-02;"
        f"\n{found[0]['pattern']} {found[0]['recipe']} on another, S, 2026-01-01"
    )
    found[0] |= {"pattern": "2:4", "recipe": DISTILLED, "distilled": 9}
    assert "\n2:4 distilled with 9 on another" in post_training.how_measured(found, FACTS)


def test_options_of_further_rows_are_named(kept: Results[Variant]) -> None:
    found = [{**one, "machine": "M", "software": "S", "date": "D"} for one in kept.found]
    command = "`python -m bench.post_training --model small`"
    assert post_training.how_measured(found, replace(FACTS, seeds=SEEDS)).startswith(
        f"{command} on\n"
    )
    found[0] |= {"recipe": "adaprune", "samples": 3}
    found[1] |= {"distilled": 5}
    assert post_training.how_measured(found, FACTS).startswith(
        f"{command}, further rows with `--seeds {SEEDS}`, `--samples 3`, `--distilled 5`, "
        "`--full`, on\n"
    )


def test_what_is_kept_counts_layers_that_a_pattern_does_not_fit(kept: Results[Variant]) -> None:
    all_of_them, some = ({**one} for one in kept.found[:1] * 2)
    small, large = {"name": "a", "shape": [8, 8]}, {"name": "b", "shape": [8, 24]}
    all_of_them |= {
        "pattern": "2:4",
        "layers": [{**one, "pattern": "2:4"} for one in (small, large)],
    }
    some |= {"pattern": "8:16", "layers": [{**large, "pattern": "8:16"}]}
    lines = quality([all_of_them, some]).splitlines()[2:]
    assert [line.split(" | ")[-4] for line in lines] == ["0.50", "0.62"]


def test_tables_and_picture(kept: Results[Variant], tmp_path: Path) -> None:
    speeds = [_speed("2:4", "B"), _speed("mixed", "A"), _speed("row 2:4", "B"), _speed("4:8", "A")]
    speeds[-1]["measures"] = {}  # nothing to gain
    text = post_training.report(kept.found, speeds, FACTS, tmp_path)
    assert re.findall(r"^\| ([^|]*) \| 1\.25 \| (.) \|$", text, re.MULTILINE) == [
        ("mixed", "A"), ("row 2:4", "B"), ("2:4", "B")
    ]  # fmt: skip
    assert (tmp_path / "tables.md").read_text() == text
    assert (tmp_path / "post-training.png").read_bytes().startswith(b"\x89PNG")
    assert "| 2:4 | distilled | optimal | 144 + 144 | " in text
    (row,) = re.findall(r"\| 2:4 \| best \| optimal \| 144 \| (.* ± .*)", text)
    best = _values(kept, Variant("2:4", "best"), "cosine")
    assert row.startswith(f"{np.mean(best):.3f} ± {np.std(best, ddof=1):.3f} |")
    assert row.endswith("| 2 |")
    patterns = re.findall(r"^\| ([^|]*) \| best \| optimal \|.*\| 2 \|$", text, re.MULTILINE)
    assert patterns == ["row 2:4", "2:4", "4:8", "8:16", "16:32"]
    assert len(re.findall(r"\| dense \|  \|  \|  \| 1\.000 ± 0\.000 \|", text)) == 1
    (kinds,) = re.findall(r"\| pattern \| recipe \| masks \| samples \| (query.*) \|", text)
    assert kinds.split(" | ") == [
        "query, key, value, 3 of 32 x 32",
        "attention output, 32 x 32",
        "feed-forward up, 64 x 32",
        "feed-forward down, 32 x 64",
    ]


def test_what_lies_ahead_is_said(kept: Results[Variant], tmp_path: Path) -> None:
    done = [(Variant("2:4", "best", samples=SAMPLES), 0), (Variant("2:4", "best", samples=7), 0)]
    timed = Results(tmp_path / "none", Timed)
    plan = post_training.Plan(SmallEncoder(), done, kept, timed, tmp_path)
    told = post_training.ahead(plan, 2)
    assert told.startswith("small: 1 of 2 runs to do, 2 at a time")
    assert told.endswith(f"{kept.path} keeps them")


def test_a_model_that_is_not_pruned_alone_has_a_table(
    kept: Results[Variant], tmp_path: Path
) -> None:
    dense = [one for one in kept.found if one["recipe"] == NOTHING]
    assert "| dense |" in post_training.report(dense, [], FACTS, tmp_path)
    assert not (tmp_path / "post-training.png").exists()


def test_seconds_are_not_rounded_to_nothing(kept: Results[Variant]) -> None:
    dense, magnitude, best = (
        next(
            one
            for one in kept.found
            if one["recipe"] == recipe and not one["pattern"].startswith("row")
        )
        for recipe in (NOTHING, "magnitude", "best")
    )
    text = quality(
        [{**dense, "seconds": 6e-6}, {**magnitude, "seconds": 0.41}, {**best, "seconds": 79.8}]
    )
    assert [line.split(" | ")[-3] for line in text.splitlines()[2:]] == ["", "0.4", "80"]


def test_documentation_is_brought_up_to_date(kept: Results[Variant], tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    pages = [tmp_path / post_training.PAGE, tmp_path / post_training.MEASURED_PAGE]
    first = [quality(kept.found[:3]), seconds_by_layer(kept.found[:3], KINDS)]
    new = [quality(kept.found), seconds_by_layer(kept.found, KINDS)]
    for page, table in zip(pages, first, strict=True):
        page.write_text(f"before\n\n{table}\n\nafter")
    for _ in range(2):  # the second time there are stamps below the tables
        post_training.update(kept.found, [], FACTS, tmp_path)
        for page, table in zip(pages, new, strict=True):
            before, found, stamp, after = page.read_text().split("\n\n")
            assert (before, found, after) == ("before", table, "after")
            assert "--model small`, further rows with `--seeds 2`, on\n" in stamp
    few = [{**one, "samples": 7} for one in kept.found]
    assert "`--samples 7`, on\n" in post_training.how_measured(few, FACTS)
    assert new[0] != first[0]
    assert (tmp_path / "images" / "post-training.png").exists()
    with pytest.raises(ValueError, match="there are 0 tables that begin with"):
        with_table("no table", new[0])
    appended = with_table("no table\n", new[0], "a model")
    assert appended == f"no table\n\n## What it costs: a model\n\n{new[0]}\n"
    assert with_table(appended, first[0], "a model") == appended.replace(new[0], first[0])
    with pytest.raises(ValueError, match="there are 2 tables that begin with"):
        with_table(f"{appended}\n{new[0]}", new[0], "a model")


def test_measures() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(40, 8), dim=1)
    assert mean_cosine(vectors, vectors) == pytest.approx(1)
    assert mean_cosine(vectors, -vectors) == pytest.approx(-1)
    assert same_neighbour(vectors, vectors) == 1.0
    # Points on an arc, the second of which moves from its first neighbour to the other one.
    angles = torch.tensor([0.0, 0.1, 0.3, 0.6]), torch.tensor([0.0, 0.3, 0.4, 0.6])
    line = [torch.stack([one.cos(), one.sin()], 1) for one in angles]
    assert same_neighbour(*line) == 0.75
    human = (vectors @ vectors.T).numpy()
    assert similarity_correlation(vectors, human) == pytest.approx(1)
    assert similarity_correlation(vectors, -human) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--variants", "neither"],
            "variants is 'neither', expected a regular expression that matches",
        ),
        (["--variants", "("], "expected a regular expression"),
        (["--seeds", "0"], "--seeds is 0, expected at least 1"),
        (["--workers", "0"], "--workers is 0, expected at least 1"),
        (["--samples", "2000"], "--samples is 2000, expected at most 144 sentences for small"),
        (["--distilled", "0"], "--distilled is 0, expected at least 1"),
        (["--distilled", "2000"], "--distilled is 2000, expected at most 288 sentences for small"),
        (["--model", "large"], "invalid choice: 'large'"),
        ([], "results.json does not hold results of this study"),
    ],
)
def test_bad_options(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setattr(post_training, "MODELS", {"small": SmallEncoder})
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "results.json").write_text("[{}]")
    monkeypatch.setattr(sys, "argv", ["post_training", "--out", str(tmp_path), *arguments])
    with pytest.raises(SystemExit) as left:
        post_training.main()
    assert left.value.code == 2
    assert told in capsys.readouterr().err
    assert (tmp_path / "small" / "results.json").read_text() == "[{}]"


def test_an_allocation_does_not_say_what_layers_a_block_has() -> None:
    """It prunes one of two here, and one of a block alone: shapes are told as before."""

    def result(variant: Variant, names: list[str]) -> dict[str, Any]:
        layers = [{"name": name, "shape": [8, 8], "seconds": 1.0} for name in names]
        return {**asdict(variant), "seed": 0, "layers": layers}

    whole = result(Variant("2:4", "best"), ["0.q", "0.k", "1.q", "1.k"])
    uneven = result(Variant("2:4", "best"), ["0.q", "0.k", "1.q"])
    mixed = result(Variant("mixed", "allocated"), ["0.q"])
    kinds = {"q|k": "attention"}
    assert "| attention, 2 of 8 x 8 |" in seconds_by_layer([mixed, whole], kinds)
    assert "| attention |" in seconds_by_layer([mixed, uneven], kinds)
    assert "| attention, 8 x 8 |" in seconds_by_layer([mixed], kinds)


def test_variants_differ_and_the_grid_holds_the_default() -> None:
    grid = list(full_grid())
    assert len(set(grid)) == len(grid)
    assert set(ENCODER) | set(BRIEF) <= set(grid)
    assert len(set(BRIEF)) == len(BRIEF)
    assert [str(variant) for variant in chosen_variants(grid, "^2:4 best")] == [
        "2:4 best optimal", "2:4 best two_approximation", "2:4 best greedy"
    ]  # fmt: skip


def test_make_study_runs_all_models_or_those_that_are_named() -> None:
    """With photographs only where a network is among them; no other test runs this target."""

    def planned(*given: str) -> str:
        command = ["make", "-n", "-f", str(Path(post_training.__file__).parents[1] / "Makefile")]
        command += [
            "-o",
            ".venv/.installed-study",
            "study",
            "PHOTOGRAPHS=missing",
            "TNM_PHOTOGRAPHS=",
            *given,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    everything = planned()
    assert re.findall(r"--model (\w+)", everything) == [*post_training.MODELS]
    assert "apt-get" in everything
    one = planned("MODELS=smollm2", "VARIANTS=^16:32 (best|wanda)")
    assert re.findall(r"--model (\w+)", one) == ["smollm2"]
    assert "--variants '^16:32 (best|wanda)'" in one
    assert "apt-get" not in one


def test_the_picture_says_what_it_shows(kept: Results[Variant]) -> None:
    figure = picture([one for one in kept.found if one["recipe"] != NOTHING])
    cosine, neighbours = figure.axes
    assert any("sentence encoder" in text.get_text() for text in figure.texts)
    assert all(axes.get_title(loc="left") and axes.get_xlabel() for axes in figure.axes)
    assert neighbours.get_xlim() == (0, 1)
    ticks = cosine.get_xticks()
    assert len(ticks) >= 2
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in cosine.get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    told = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert "optimal masks" in told
    assert any("standard deviation" in text for text in told)
