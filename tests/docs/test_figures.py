"""Figures come from one run: its results make a page, from which others repeat them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.output import figures, pictures, report
from bench.output.kept import FOLDER, kept
from bench.output.pages import PAGES
from bench.output.phrases import Phrase
from tests.docs.documents import ROOT

DOCS = ROOT / "docs"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the documents, to write into them."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for page in DOCS.glob("*.md"):
        shutil.copyfile(page, docs / page.name)
    shutil.copytree(DOCS / FOLDER, docs / FOLDER)
    shutil.copyfile(ROOT / "README.md", tmp_path / "README.md")
    return docs


def test_pages_repeat_what_the_benchmark_wrote(copy: Path) -> None:
    """Else run `python -m bench.output.figures`."""
    assert figures.update(copy) == []


@pytest.mark.parametrize(
    ("page", "figure"),
    [
        ("README.md", r"^\| 16:32 \| ([\d.]+) / [\d.]+ \|"),
        ("README.md", r"^\| 16:32 \| best \| optimal \| 512 \| ([\d.]+)"),
        ("README.md", r"forward products are ([\d.]+ to [\d.]+) times"),
        ("docs/measured.md", r"^\| 8:16 \| (\.\d{4}) \|"),
        ("docs/measured.md", r"([\d.]+) ms at 2:4"),
    ],
)
def test_a_wrong_figure_is_mended(page: str, figure: str, copy: Path) -> None:
    path = copy.parent / page
    text = path.read_text()
    (found,) = re.finditer(figure, text, re.MULTILINE)
    path.write_text(text[: found.start(1)] + "999" + text[found.end(1) :])
    assert figures.update(copy) == [path]
    assert path.read_text() == text


def test_a_row_of_another_table_is_refused(copy: Path) -> None:
    page = copy / "measured.md"
    page.write_text(page.read_text().replace("| LEMON network", "| LEMON's network"))
    with pytest.raises(ValueError, match="has no table that holds all of"):
        figures.update(copy)


def test_words_that_are_gone_are_named(copy: Path) -> None:
    phrase = Phrase("x.md", "as fast as {} horses", lambda docs: "two")
    assert phrase.write("as fast\nas ten horses", copy) == "as fast\nas two horses"
    with pytest.raises(ValueError, match="expected it once"):
        phrase.write("as fast as horses", copy)


@pytest.mark.parametrize(
    ("page", "section"), [("README.md", "Measured"), ("docs/measured.md", "Products on a CPU")]
)
def test_every_table_says_where_it_comes_from(page: str, section: str) -> None:
    text = (ROOT / page).read_text().partition(f"\n## {section}\n")[2]
    text = text.partition("\n## More\n")[0]
    tables = re.findall(r"^(.*)\n\n\| .*\n\| ---", text, re.MULTILINE)
    assert len(tables) >= 2
    assert [line for line in tables if not line.startswith("<!-- figures of ")] == []


@pytest.mark.parametrize("page", PAGES)
def test_page_is_what_its_results_say(page: str) -> None:
    results = kept(DOCS, page)
    assert "date" in results["machine"]
    assert (DOCS / f"{page}.md").read_text() == report.render(results, page, images="images/")


def test_tables_of_the_training_study_are_what_its_results_say() -> None:
    """Else run `python -m bench.training --docs docs`."""
    from bench.training.step_costs import StepCost
    from bench.training.tables import quality, step_costs
    from bench.training.tasks import TASKS

    found = kept(DOCS, "training-study")
    costs = {(one["task"], one["pattern"]): StepCost(**one) for one in found["step costs"]}
    text = (DOCS / "training-study.md").read_text()
    assert quality(found["runs"], TASKS, costs) in text
    assert step_costs(costs) in text


def test_results_are_kept_and_pages_written_again(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plots = kept(DOCS, "surface")["plots"]
    monkeypatch.setattr(pictures, "draw_all", lambda sections, output: plots)
    (copy / FOLDER / "surface.json").rename(tmp_path / "results.json")
    (copy / "surface.md").write_text("")
    out = tmp_path / "out"
    out.mkdir()
    for name in plots["surface"]:
        (out / name).write_bytes(b"a picture")
    main(["--again", str(tmp_path / "results.json"), "--docs", str(copy), "-o", str(out)])
    assert (copy / "surface.md").read_text() == (DOCS / "surface.md").read_text()
    assert kept(copy, "surface") == json.loads((tmp_path / "results.json").read_text())
    assert all((copy / "images" / name).is_file() for name in plots["surface"])


@pytest.mark.parametrize("model", ["minilm", "smollm2", "efficientnet"])
def test_tables_of_pruning_after_training_are_what_their_results_say(model: str) -> None:
    """Else run `python -m bench.post_training --model MODEL --docs docs`."""
    from bench.post_training import MEASURED_PAGE, MODELS, PAGE
    from bench.study.tables import quality, seconds_by_layer, speeds_by_pattern

    found = kept(DOCS, f"post-training-{model}")
    page = (DOCS / PAGE).read_text()
    assert quality(found) in page
    assert speeds_by_pattern(kept(DOCS, f"post-training-{model}-speeds")) in page
    table = seconds_by_layer(found, MODELS[model]().facts.kinds)
    assert table in (DOCS / MEASURED_PAGE).read_text()


def test_the_table_of_fine_tuning_is_what_its_results_say() -> None:
    """Else run `python -m bench.fine_tuning --docs docs`."""
    from bench.fine_tuning.report import PAGE, RESULTS, table_with_stamp

    assert table_with_stamp(kept(DOCS, RESULTS)) in (DOCS / PAGE).read_text()


def test_the_table_of_trials_is_what_its_results_say() -> None:
    """Else run `python -m bench.language_model_trials --docs docs`."""
    from bench.language_model_trials.__main__ import table

    found = kept(DOCS, "language-model-trials")
    assert table(found) in (DOCS / "post-training-study.md").read_text()
