"""Figures within sentences: the words around them, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.output.kept import kept
from bench.output.kept_tables import WHOLE_MODEL, speedups
from bench.output.markdown_tables import Table, read_tables, table_of
from bench.output.retained import retained_share

_HALF = ("2:4", "4:8", "16:32")


@dataclass(frozen=True)
class Phrase:
    """Words around a figure, which is `{}`, on a page; and how it is found in the documents."""

    page: str
    words: str
    value: Callable[[Path], str]

    def write(self, text: str, docs: Path) -> str:
        """Put the figure in its place.

        Raises
        ------
        ValueError
            If the words are not on the page, once.
        """
        before, after = (
            r"\s+".join(map(re.escape, part.split(" "))) for part in self.words.split("{}")
        )
        pattern = f"({before})([^\\s()][^()]{{0,40}}?)({after})"
        value = self.value(docs)
        text, count = re.subn(pattern, lambda found: _put(found, value), text)
        if count != 1:
            raise ValueError(f"{self.page} has {self.words!r} {count} times, expected it once")
        return text


def _put(found: re.Match[str], value: str) -> str:
    """Leave the text as it is broken into lines if the figure is the same."""
    same = " ".join(found[2].split()) == value
    return found[0] if same else found[1] + value + found[3]


def _numbers(table: Table, rows: tuple[str, ...], place: int = 0) -> list[float]:
    """The numbers of some rows; of cells such as `1.69 / 1.56` the first or the second."""
    chosen = [row for row in table.rows if row[0].startswith(rows) and "row-wise" not in row[0]]
    return [
        float(cell.split(" / ")[place].split()[0]) for row in chosen for cell in row[1:] if cell
    ]


def _span(values: list[float], digits: int) -> str:
    low, high = (f"{value:.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _products(begins: str, rows: tuple[str, ...], digits: int = 1) -> Callable[[Path], str]:
    return lambda docs: _span(
        _numbers(table_of(docs / "products.md", begins, rows[0]), rows), digits
    )


def _training_steps(pattern: str, models: str = "MLP", digits: int = 2) -> Callable[[Path], str]:
    def value(docs: Path) -> str:
        table = table_of(docs / "products.md", "a training step")
        place, named = table.column("times dense"), table.column("pattern")
        rows = [
            row for row in table.rows if row[0].startswith(models) and row[named] in pattern.split()
        ]
        return _span([float(row[place]) for row in rows], digits)

    return value


def _of_the_peak(rows: tuple[str, ...]) -> Callable[[Path], str]:
    """Percents of the processor's peak, which stand in parentheses."""

    def value(docs: Path) -> str:
        table = table_of(docs / "products.md", "dense-equivalent GF/s")
        cells = [cell for row in table.rows if row[0] in rows for cell in row[1:]]
        return _span([float(cell.split("(")[1].split()[0]) for cell in cells], 0)

    return value


def _held_to_avx2(docs: Path) -> str:
    table = table_of(docs / "products.md", "BERT-base up, times torch")
    cells = [table.cell("avx2, 1 thread, float32", pattern) for pattern in ("2:4", "16:32")]
    return _span([float(cell.split(" / ")[0]) for cell in cells], 1)


def _two_threads(docs: Path) -> str:
    table = table_of(docs / "products.md", "2 threads, times one")
    return _span(_numbers(table, ("tnm_core", "torch")), 1)


def _tokens(layer: str, column: str, place: int) -> Callable[[Path], str]:
    """Of the table of one layer by its number of tokens."""

    def value(docs: Path) -> str:
        for table in read_tables(docs / "products.md"):
            if table.header[0].startswith(layer) and column in table.header:
                return table.cell("16:32", column).split(" / ")[place]
        raise LookupError(f"products.md has no table of {layer} by tokens")

    return value


def _milliseconds(threads: str, m: int) -> Callable[[Path], str]:
    def value(docs: Path) -> str:
        table = table_of(docs / "benchmarks.md", "milliseconds per call")
        return f"{float(table.cell(threads, f'm = {m}')):.0f} ms"

    return value


def _lost(method: str) -> Callable[[Path], str]:
    """What a method loses of the score of the optimum, over all sizes of tiles."""

    def value(docs: Path) -> str:
        cells = [cell for cell in table_of(docs / "benchmarks.md", _LOSS).row(method)[1:] if cell]
        ordered = sorted(cells, key=lambda cell: float(cell.split()[0]))
        return " to ".join(dict.fromkeys((ordered[0], ordered[-1])))

    return value


def _study(column: str, *row: str) -> Callable[[Path], str]:
    """A cell of the sentence encoder's table, without its spread over seeds."""

    def value(docs: Path) -> str:
        table = table_of(docs / "post-training.md", "pattern", row[0])
        return table.row(*row)[table.column(column)].split()[0].removeprefix("0")

    return value


def _trained(task: str, *row: str, spread: bool = False) -> Callable[[Path], str]:
    """How far a training of the study ends above the dense one, with three digits."""

    def value(docs: Path) -> str:
        table = table_of(docs / "training-study.md", "task", task)
        cell = table.row(task, *row)[table.column("above dense")]
        parts = [f"{float(part):.3f}".removeprefix("0") for part in cell.split(" ± ")]
        return " ± ".join(parts) if spread else parts[0]

    return value


def _arrays_times_single_masks(docs: Path) -> str:
    table = table_of(docs / "benchmarks.md", "million masks per second")
    single, arrays = (table.column(f"`enumerate_masks`, {way}") for way in ("one by one", "arrays"))
    return _span([round(float(row[arrays]) / float(row[single]), -1) for row in table.rows], 0)


def _said(page: str, pattern: str) -> Callable[[Path], str]:
    """What a sentence of a page says."""

    def value(docs: Path) -> str:
        found = re.search(pattern, (docs / page).read_text())
        if found is None:
            raise LookupError(f"{page} does not say {pattern!r}")
        return found[1]

    return value


def _limit(begins: str) -> Callable[[Path], str]:
    """What the machine does, in G entries per second: the median of a pass over memory."""

    def value(docs: Path) -> str:
        table = table_of(docs / "benchmarks.md", "pass over memory")
        (row,) = (row for row in table.rows if row[0].startswith(begins))
        return f"{float(row[table.column('median')]) / 1000:.1f} G"

    return value


def _rate_at_2_4(begins: str, row: str) -> Callable[[Path], str]:
    """The second column of a table of masks, in G entries per second."""

    def value(docs: Path) -> str:
        cell = table_of(docs / "benchmarks.md", begins).row(row)[1]
        return f"{float(cell.split()[0]) / 1000:.1f} G"

    return value


def _whole_model(size: int) -> Callable[[Path], str]:
    """How many times as fast as the dense one the packed sentence encoder is."""

    def value(docs: Path) -> str:
        speeds = kept(docs, WHOLE_MODEL)["speeds"]
        (found,) = (speedups(one)["packed"] for one in speeds if one["batch_size"] == size)
        return f"{found:.1f}"

    return value


def _forms(docs: Path) -> str:
    return str(len(table_of(docs / "surface.md", "case").rows))


def _slower(docs: Path) -> str:
    table = table_of(docs / "benchmarks.md", "tnm_core optimal is faster by", "tnm_core")
    return _span(_numbers(table, ("tnm_core",)), 0)


def _faster_than(solver: str) -> Callable[[Path], str]:
    """How many times as fast as another exact solver, over all sizes of tiles."""

    def value(docs: Path) -> str:
        table = table_of(docs / "benchmarks.md", "tnm_core is faster by", solver)
        (row,) = (row for row in table.rows if row[0].startswith(solver))
        return _span([float(cell.split()[0]) for cell in row[1:]], 0)

    return value


_FORWARD, _GRADIENT = "times torch", "input gradient"
_BEST = ("2:4", "best", "optimal", "512")
_MOST = ("2:4", "permuted, tuned", "optimal", "1024")
_NARROW, _WIDE = "text, width 32", "text, width 64"
_RECIPES = {
    "fading": ("2:4", "fading", "optimal"),
    "dense for 60 %, then static": ("2:4", "late static"),
    "static from the start, masks of the untrained weights": ("2:4", "static"),
    "a dense model with half of the weights": ("half size",),
    "`sr_ste`: every step, decoupled decay of .02": ("2:4", "sr ste"),
    "straight-through, every 10 steps": ("2:4", "every 10"),
    "straight-through, every 40 steps": ("2:4", "every 40"),
}
_LOSS = "relative loss of score"
_DENSE = ("torch", "oneDNN, weights prepacked", "MKL, weights prepacked", "NumPy (OpenBLAS)",
          "onnxruntime")  # fmt: skip
_PACKED = tuple(f"tnm_core, {pattern}" for pattern in _HALF)
PHRASES = (
    Phrase("README.md", "forward products are {} times as fast", _products(_FORWARD, _HALF)),
    Phrase("README.md", "input gradients {} times", _products(_GRADIENT, _HALF)),
    Phrase("README.md", "are found in {} at 2:4 and", _milliseconds("1 thread", 4)),
    Phrase("README.md", "at 2:4 and in {} at 8:16, on", _milliseconds("1 thread", 16)),
    Phrase("README.md", "takes {} times as long ([all solvers", _faster_than("LEMON")),
    Phrase(
        "index.md", "forward products with packed weights are {} times", _products(_FORWARD, _HALF)
    ),
    Phrase("packed-products.md", "So {} times torch's speed", _products(_FORWARD, _HALF)),
    Phrase(
        "deploy-cpu.md", "its products {} times as fast ([products]", _products(_FORWARD, _HALF)
    ),
    Phrase("deploy-cpu.md", "pruned | products {} times as fast", _products(_FORWARD, ("1:4",))),
    Phrase(
        "deploy-cpu.md", "by token | products {} times as fast", _tokens("Llama-1B", "1 token", 0)
    ),
    Phrase("deploy-cpu.md", "into the caches; {} times, a loss", _tokens("MiniLM", "1 token", 0)),
    Phrase("deploy-cpu.md", "two threads make products {} times as fast", _two_threads),
    Phrase(
        "packed-products.md", "the kernels reach {} % of the processor's", _of_the_peak(_PACKED)
    ),
    Phrase("packed-products.md", "and the dense libraries {} % of it", _of_the_peak(_DENSE)),
    Phrase("packed-products.md", "the same core gains {} times", _held_to_avx2),
    Phrase(
        "packed-products.md", "is the limit, {} was measured", _training_steps("2:4 16:32", "", 1)
    ),
    Phrase(
        "train-from-scratch.md",
        "of about 512 on: {} times at half",
        _training_steps("2:4 16:32", "", 1),
    ),
    Phrase(
        "sparse-linear.md",
        "of 512 tokens are {} times as fast as torch's",
        _products(_FORWARD, _HALF),
    ),
    Phrase(
        "sparse-linear.md", "and {} times at a quarter. A training", _products(_FORWARD, ("1:4",))
    ),
    Phrase("sparse-linear.md", "an MLP is {} times as fast", _training_steps("2:4 16:32")),
    Phrase("sparse-linear.md", "and {} times at a quarter, as dW", _training_steps("1:4")),
    Phrase(
        "measured.md",
        "repacking included, is {} times as fast at half",
        _training_steps("2:4 16:32"),
    ),
    Phrase("measured.md", "density and {} times at a quarter", _training_steps("1:4")),
    Phrase("measured.md", "caches alone ({} times torch", _tokens("Llama-1B", "1 token", 0)),
    Phrase("measured.md", "times torch; {} within them)", _tokens("MiniLM", "1 token", 0)),
    Phrase("measured.md", "at 4 and 16 tokens ({} and", _tokens("MiniLM", "4 tokens", 1)),
    Phrase("measured.md", "and {} times the best dense)", _tokens("MiniLM", "16 tokens", 1)),
    Phrase(
        "measured.md", "each of {} tiles", _said("benchmarks.md", r"On all ([\d,]+) tiles solved")
    ),
    Phrase("measured.md", "matrix takes {} at 2:4 and", _milliseconds("1 thread", 4)),
    Phrase("measured.md", "at 2:4 and {} at 8:16 on one thread", _milliseconds("1 thread", 16)),
    Phrase("measured.md", "on one thread, {} and", _milliseconds("2 threads", 4)),
    Phrase("measured.md", "ms and {} on two", _milliseconds("2 threads", 16)),
    Phrase("measured.md", "of {} forms the median", _forms),
    Phrase("performance.md", "reads float32 at {} entries/s, and", _limit("read float32 (sum")),
    Phrase(
        "performance.md", "writing bool at {} entries/s. 2:4", _limit("read float32, write bool")
    ),
    Phrase(
        "performance.md",
        "at {} entries/s on 8192 x 8192 and",
        _rate_at_2_4("8192 x 8192 float32", "1 thread, the core alone"),
    ),
    Phrase("performance.md", "and at {} in the cache", _rate_at_2_4("shape", "64 x 16384")),
    Phrase("deploy-cpu.md", "the whole model about {} times as fast ([a", _whole_model(8)),
    Phrase(
        "measured.md",
        "median reaches {} of that rate",
        _said("surface.md", r"median ratio is ([\d.]+)\.\s"),
    ),
    Phrase("masks.md", "They are slower as well, {} times on normal", _slower),
    Phrase(
        "comparison.md",
        "tiles loses {} of the optimal score",
        _lost("4x4 tile greedy in torch's style"),
    ),
    Phrase("comparison.md", "as we implemented it {}. For", _lost("entropic transport, T = 300")),
    Phrase("enumeration.md", "which is {} times as fast", _arrays_times_single_masks),
    Phrase("prune.md", "keep a cosine of {} to the", _study("cosine", "2:4", "magnitude")),
    Phrase("prune.md", "512 sentences they keep {}, in", _study("cosine", *_BEST)),
    Phrase("prune.md", "in {} CPU seconds", _study("CPU seconds", *_BEST)),
    Phrase(
        "prune.md",
        "with 1024, {} ([the",
        _study("cosine", *_MOST),
    ),
    Phrase("allocate.md", "kept a cosine of {} where", _study("cosine", "mixed", "allocated")),
    Phrase("allocate.md", "throughout kept {}, with", _study("cosine", "16:32", *_BEST[1:])),
    Phrase("tutorial.md", "even 2:4 keeps a cosine of {} ([the", _study("cosine", *_MOST)),
    Phrase("training.md", "character model 2:4 lost {} bits", _trained(_WIDE, "2:4", "fading")),
    Phrase("training.md", "that way (2 %), 16:32 {} and", _trained(_WIDE, "16:32", "fading")),
    Phrase("training.md", "half of the weights {}; on", _trained(_WIDE, "half size")),
    *(
        Phrase("training.md", f"| {words} | {{}} |", _trained(_NARROW, *row, spread=True))
        for words, row in _RECIPES.items()
    ),
    Phrase("masks.md", "both retain {} of the score", retained_share("2:4", "greedy")),
    Phrase("masks.md", "the optimum retains {} (`tnm", retained_share("2:4")),
)
