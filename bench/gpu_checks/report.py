"""The GPU check as Markdown and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.context import note
from bench.gpu_checks.settings import Record
from bench.tables import markdown

CPU_WARNING = (
    "**A dry run on the CPU, with tiny sizes and the emulated product: these figures say nothing "
    "about any GPU.**\n"
)


def render(results: dict[str, Any]) -> str:
    """Write all sections that were run."""
    facts, sections = results["machine"], results["sections"]
    parts = ["# GPU check\n"]
    if facts["dry_run"]:
        parts.append(CPU_WARNING)
    parts.append("\n".join(f"* {name}: {value}" for name, value in facts.items()) + "\n")
    writers = {
        "correctness": _correctness,
        "mask search": _mask_search,
        "MLP": _mlp,
        "products": _products,
    }
    for name, write in writers.items():
        if sections.get(name):
            parts.append(f"## {name}\n\n{write(sections[name])}")
    return "\n".join(parts)


def _correctness(records: list[Record]) -> str:
    rows = (
        [
            f"{record['dtype']}, {_shape(record)}, {record['tokens']} tokens",
            *(f"{error:.2f}" for error in record["errors"].values()),
            "no" if record["wrong"] else "yes",
        ]
        for record in records
    )
    header = ["largest error / what rounding allows", *records[0]["errors"], "right"]
    return markdown(header, rows)


def _mask_search(records: list[Record]) -> str:
    rows = (
        [
            f"{record['pattern']}, {record['size']} x {record['size']}",
            _ms(record["seconds"]),
            "no" if record["wrong"] else "yes",
            "yes" if record["identical"] else "no",
        ]
        for record in records
    )
    return markdown(["search", "ms", "optimal", "the host's mask"], rows)


def _mlp(records: list[Record]) -> str:
    header = ["block", "dense, ms", "sparse, ms", "ratio", "dense, graph", "sparse, graph", "ratio"]
    rows = []
    for record in records:
        dense, sparse = record["dense"], record["sparse"]
        inner, outer = record["sizes"]
        rows.append(
            [
                f"{inner} to {outer} to {inner}, {record['tokens']} tokens",
                *(_ms(part["eager"]) for part in (dense, sparse)),
                _ratio(record["speedup"]),
                *(_ms(part["graph"]) for part in (dense, sparse)),
                _ratio(record["graph_speedup"]),
            ]
        )
    first = records[0]
    problems = {
        part["graph_problem"]
        for record in records
        for part in (record["dense"], record["sparse"])
        if part["graph_problem"]
    }
    text = (
        f"Seconds per step: forward, backward, repacking, and a refresh every "
        f"{first['refresh_every']} steps. Target {first['target']}x: "
        f"{'reached' if first['reached'] else 'not reached'} at {first['tokens']} tokens.\n"
    )
    text += "".join(f"\nNo CUDA graph: {problem}\n" for problem in sorted(problems))
    return f"{text}\n{markdown(header, rows)}"


def _products(records: list[Record]) -> str:
    names = [part["part"] for part in records[0]["parts"]]
    rows = (
        [
            f"{_shape(record)}, {record['tokens']} tokens",
            *(_ms(part["seconds"]) for part in record["parts"]),
            _ms(record["dense_seconds"]),
            _ms(record["sparse_seconds"]),
            _ratio(record["speedup"]),
            _ratio(record["graph_speedup"]),
            _algorithms(record),
        ]
        for record in records
    )
    sums = ["dense step", "sparse step", "dense / sparse", "with graphs", "algorithms"]
    text = (
        "A step is forward product, input gradient, weight gradient (a dense product either way) "
        "and, of the sparse layer, packing. Algorithms are cuSPARSELt's, forward and for the input "
        "gradient: number, parts of the sum and how those are added up.\n"
    )
    return f"{text}\n{markdown(['ms', *names, *sums], rows)}"


def _algorithms(record: Record) -> str:
    found = record["algorithms"] or ()
    return ", ".join("/".join(map(str, algorithm)) for algorithm in found) or "-"


def draw(results: dict[str, Any], path: Path) -> bool:
    """Draw speed-ups against tokens; False if there is nothing to draw or no matplotlib."""
    records = results["sections"].get("products") or []
    try:
        from matplotlib.figure import Figure
    except ImportError:
        note("plot skipped: matplotlib is not installed")
        return False
    if not records:
        return False
    key = "speedup" if any(r["graph_speedup"] is None for r in records) else "graph_speedup"
    figure = Figure(figsize=(7.6, 4.6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for shape in dict.fromkeys(map(_shape, records)):
        line = [record for record in records if _shape(record) == shape]
        tokens = [record["tokens"] for record in line]
        axes.plot(tokens, [record[key] for record in line], marker="o", label=shape)
    ticks = sorted({record["tokens"] for record in records})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.axhline(1.0, color="#888888", linewidth=1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("tokens")
    graphs = " in CUDA graphs" if key == "graph_speedup" else ""
    axes.set_ylabel(f"time of a dense step / a sparse one with packing{graphs}")
    dry = ", a dry run on the CPU" if results["machine"]["dry_run"] else ""
    title = f"2:4 against dense, {records[0]['dtype']}, {results['machine']['device']}{dry}"
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.legend(title="weight", frameon=False, fontsize=8)
    figure.savefig(path)
    return True


def _shape(record: Record) -> str:
    return " x ".join(map(str, record["shape"]))


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.3f}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
