"""Tables of peers: their rates, what they lose, and whether they agree."""

from __future__ import annotations

from collections.abc import Callable

from bench.context import Record
from bench.sections.peers.runs import OURS
from bench.tables import by_m, number, percent, pivot


def rate_table(records: list[Record]) -> str:
    """Show the rates of exact solvers."""
    others = [record for record in records if record["peer"] != OURS]
    tables = [
        _by_peer(records, "million entries per second", lambda r: number(r["rate"])),
        _by_peer(records, "tiles per second", lambda r: f"{r['tiles_per_second']:,.0f}"),
        _by_peer(others, "tnm_core is faster by", lambda r: f"{number(r['ratio'])} x"),
    ]
    return "\n".join([*tables, verdict(others)])


def loss_table(records: list[Record]) -> str:
    """Show the rates and losses of approximations."""
    others = [record for record in records if record["peer"] != OURS]
    tables = [
        _by_peer(records, "million entries per second", lambda r: number(r["rate"])),
        _by_peer(records, "relative loss of score", lambda r: percent(r["loss"])),
        _by_peer(
            [record for record in others if not record["fills"]],
            "tiles where every row and column keeps n",
            lambda r: f"{100 * r['filled_tiles']:.0f} %",
        ),
        _by_peer(others, "tnm_core optimal is faster by", lambda r: f"{number(r['ratio'])} x"),
    ]
    return "\n".join([*tables, verdict(others)])


def _by_peer(records: list[Record], corner: str, cell: Callable[[Record], str]) -> str:
    return pivot(records, corner, lambda r: r["peer"], lambda r: r["m"], cell, by_m)


def verdict(others: list[Record]) -> str:
    """Say what comparing every tile showed."""
    wrong = [record for record in others if record["disagreement"]]
    if wrong:
        names = ", ".join(f"{r['peer']} ({r['n']}:{r['m']})" for r in wrong)
        return f"**The answers contradict ours: {names}.**\n"
    tiles = sum(record["tiles"] for record in others)
    if all(record["exact"] for record in others):
        return f"On all {tiles:,} tiles solved by peers the score equals ours.\n"
    return (
        f"On none of {tiles:,} answers of peers the score exceeds the optimum: that of exactly n "
        "for those that keep exactly n, that of at most n (which can be higher) for the others.\n"
    )
