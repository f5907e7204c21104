"""Tables of products."""

from __future__ import annotations

from collections.abc import Callable

from bench.context import Record
from bench.products.comparisons import Comparisons, limits_of
from bench.products.sparsity import title
from bench.tables import markdown, number, pivot

Cell = Callable[[Record], str]


def render(records: list[Record]) -> str:
    """Render all tables of the section."""
    limits = [record for record in records if record.get("kind") == "limits"]
    found = Comparisons(records)
    parts = [
        _limits(limits),
        _speedups(found),
        _rates(found, limits),
        *_tokens(found),
        _one_token(found, limits),
        _settings(found),
        _threads(found),
        _verdict(found),
    ]
    return "\n".join(part for part in parts if part)


def _limits(limits: list[Record]) -> str:
    header = ["limits, one thread", "float32, GF/s", "bfloat16, GF/s", "memory read, GB/s"]
    names = ("float32", "bfloat16", "read")
    rows = (
        [r["instruction_set"], *(number(r[name]) if name in r else "-" for name in names)]
        for r in limits
    )
    return markdown(header, rows) if limits else ""


def _speedups(found: Comparisons) -> str:
    """Show every pattern on every layer, then the input gradient, then what updating costs."""
    gradients, updates = found.ours("layers", "gradient"), found.ours("layers", "update")
    forward = _by_layer(found.ours("layers"), "times torch / best dense", title, _both_times(found))
    backward = _by_layer(
        gradients, "input gradient, times torch / best dense", title, _both_times(found)
    )

    def share(record: Record) -> str:
        part = found.share_of_update(record)
        return "-" if part is None else f"{100 * part:.1f} %"

    update = _by_layer(updates, "`update_` of both directions, of both products", title, share)
    return "\n".join((forward, backward, update))


def _both_times(found: Comparisons) -> Cell:
    def cell(record: Record) -> str:
        times = (found.times_torch(record), found.times_best(record))
        return " / ".join("-" if ratio is None else f"{ratio:.2f}" for ratio in times)

    return cell


def _by_layer(records: list[Record], corner: str, name: Callable[[str], str], cell: Cell) -> str:
    return pivot(
        records,
        corner,
        lambda r: name(r["pattern"]),
        lambda r: f"{r['layer']}, {r['shape'][0]} x {r['shape'][1]}",
        cell,
    )


def _rates(found: Comparisons, limits: list[Record]) -> str:
    """Show dense-equivalent rates, and the share of the peak that was really multiplied."""
    records = [r for r in found.of_plan("layers") if r["work"] == "forward"]

    def cell(record: Record) -> str:
        peak = limits_of(limits, record["instruction_set"])
        rate = number(record["gigaflops"])
        if peak is None or record["dtype"] not in peak:
            return rate
        share = record["gigaflops"] * record["density"] / peak[record["dtype"]]
        return f"{rate} ({100 * share:.0f} %)"

    def name(record: Record) -> str:
        pattern = record["pattern"]
        return record["peer"] if pattern is None else f"{record['peer']}, {title(pattern)}"

    order = {"dense": 0, "ours": 1, "sparse": 2}
    ordered = sorted(records, key=lambda r: order[r["kind"]])
    return pivot(ordered, "dense-equivalent GF/s (of the peak)", name, lambda r: r["layer"], cell)


def _tokens(found: Comparisons) -> list[str]:
    records = found.ours("tokens")
    layers = dict.fromkeys((r["layer"], tuple(r["shape"])) for r in records)
    return [
        pivot(
            [r for r in records if r["layer"] == layer],
            f"{layer}, {rows} x {columns}, times torch / best dense",
            lambda r: title(r["pattern"]),
            lambda r: r["tokens"],
            _both_times(found),
            lambda tokens: f"{tokens} token{'s' * (tokens > 1)}",
        )
        for layer, (rows, columns) in layers
    ]


def _one_token(found: Comparisons, limits: list[Record]) -> str:
    """Show how fast weights are read where each is used once."""
    records = [r for r in found.of_plan("tokens") if r["tokens"] == 1]
    if not records:
        return ""
    peak = limits_of(limits, records[0]["instruction_set"])
    memory = "" if peak is None else f" (memory gives {number(peak['read'])})"

    def speed(record: Record) -> str:
        entries = record["shape"][0] * record["shape"][1]
        bits = 0 if record["pattern"] is None else 1
        return number(entries * (4 * record["density"] + bits / 8) / record["seconds"] / 1e9)

    return pivot(
        sorted(records, key=lambda r: r["kind"]),
        f"one token: weights read, GB/s{memory}",
        lambda r: r["peer"] if r["pattern"] is None else f"{r['peer']}, {title(r['pattern'])}",
        lambda r: r["layer"],
        speed,
    )


def _settings(found: Comparisons) -> str:
    records = found.ours("settings")
    layer = f"{records[0]['layer']}, times torch / best dense" if records else ""
    table = pivot(records, layer, _setting_name, lambda r: title(r["pattern"]), _both_times(found))
    dense = [r for r in found.of_plan("settings") if r["kind"] == "dense"]
    rates = pivot(
        dense, "dense, GF/s", _setting_name, lambda r: r["peer"], lambda r: number(r["gigaflops"])
    )
    return f"{table}\n{rates}" if records else ""


def _setting_name(record: Record) -> str:
    threads = record["threads"]
    return f"{record['instruction_set']}, {threads} thread{'s' * (threads > 1)}, {record['dtype']}"


def _threads(found: Comparisons) -> str:
    """Show how much faster all threads are than one, ours and the peers."""
    records = [r for r in found.of_plan("settings") if r["work"] == "forward"]

    def case(record: Record) -> tuple[object, ...]:
        return tuple(record[n] for n in ("peer", "pattern", "dtype", "instruction_set"))

    alone = {case(r): r["seconds"] for r in records if r["threads"] == 1}
    shared = [r for r in records if r["threads"] > 1 and case(r) in alone]
    if not shared:
        return ""
    return pivot(
        shared,
        f"{shared[0]['threads']} threads, times one",
        lambda r: r["peer"] if r["pattern"] is None else f"{r['peer']}, {title(r['pattern'])}",
        lambda r: r["dtype"],
        lambda r: f"{alone[case(r)] / r['seconds']:.2f}",
    )


def _verdict(found: Comparisons) -> str:
    wrong = [r for r in found.records if r["disagreement"]]
    if wrong:
        names = "; ".join(f"{r['peer']}: {r['case']}" for r in wrong)
        return f"**These answers are not the products in float64: {names}.**\n"
    return f"All {len(found.records)} answers agree with products in float64.\n"
