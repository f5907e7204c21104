"""Listing, numbering and drawing masks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from time import process_time

import numpy as np

import tnm_core as tnm
from bench.context import Context, Record
from bench.peers.naive_masks import enumerate_rows, rejection_sample
from bench.sections.base import Section
from bench.tables import markdown, number
from tnm_core import _core

MASKS_2_8 = 187_530_840
CORE, CHUNKS = "core, one buffer", "`enumerate_masks`, arrays"
SINGLE, NAIVE = "`enumerate_masks`, one by one", "itertools, backtracking"
EXACT, CHAIN, REJECTION = "`sample_masks`", "`sample_masks(exact=False)`", "NumPy, rejection"
UNRANK, RANK, BUILD = "`unrank_mask`", "`rank_mask`", "building the table"


def _seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Processor time, the best of some calls."""
    times = []
    for _ in range(repeats):
        start = process_time()
        call()
        times.append(process_time() - start)
    return min(times)


def _record(what: str, n: int, m: int, masks: int, seconds: float) -> Record:
    return {"call": what, "n": n, "m": m, "microseconds": 1e6 * seconds / masks, "masks": masks}


# Listing.


def _list_with_core(n: int, m: int, masks: int) -> None:
    enumerator, buffer = _core.MaskEnumerator(n, m), np.empty(4096, dtype=np.uint64)
    while masks > 0:
        masks -= enumerator.next(buffer)


def _list_chunks(n: int, m: int, masks: int) -> int:
    """Count what comes; nothing if it does not ascend strictly."""
    found, last = 0, -1
    for codes in tnm.enumerate_masks(n, m, stop=masks, as_array=True):
        if int(codes[0]) <= last:
            return 0
        last, found = int(codes[-1]), found + len(codes)
    return found


def _ascends_completely() -> str | None:
    """Go through all 2:8 masks and look at each of them."""
    found, last = 0, np.uint64(0)
    for codes in tnm.enumerate_masks(2, 8, as_array=True):
        if codes[0] <= last or (codes[1:] <= codes[:-1]).any():
            return "the masks do not ascend"
        last, found = codes[-1], found + len(codes)
    return None if found == MASKS_2_8 else f"{found} masks, expected {MASKS_2_8}"


def _listing(context: Context, n: int, m: int) -> list[Record]:
    many = 10_000_000 if context.quick else MASKS_2_8
    many = min(many, _core.MaskTable(n, m, 2**30, 1).total)
    few = min(many, 20_000)
    return [
        _record(CORE, n, m, many, _seconds(lambda: _list_with_core(n, m, many), 2)),
        _record(CHUNKS, n, m, many, _seconds(lambda: _list_chunks(n, m, many), 2)),
        _record(
            SINGLE, n, m, few, _seconds(lambda: sum(1 for _ in tnm.enumerate_masks(n, m, stop=few)))
        ),
        _record(
            NAIVE, n, m, few, _seconds(lambda: sum(1 for _ in islice(enumerate_rows(n, m), few)))
        ),
    ]


# Drawing and numbering.


def _drawing(context: Context, n: int, m: int) -> list[Record]:
    # The first call builds the table; small ones several times, for a better figure.
    build = _seconds(lambda: tnm.unrank_mask(0, n, m), 1)
    if build < 1:
        build = _seconds(lambda: _core.MaskTable(n, m, 2**30, 1))
    count = max(200, (20_000 if context.quick else 200_000) * 16 // (m * m))
    masks = tnm.sample_masks(n, m, count, rng=0, threads=1)
    indices = [tnm.rank_mask(mask, n, m) for mask in masks[:200]]
    back = [tnm.unrank_mask(index, n, m) for index in indices]
    wrong = None if (np.array(back) == masks[:200]).all() else "unrank is not the inverse of rank"
    records = [
        _record(BUILD, n, m, 1, build),
        _record(
            EXACT, n, m, count, _seconds(lambda: tnm.sample_masks(n, m, count, rng=0, threads=1))
        ),
        _record(UNRANK, n, m, 200, _seconds(lambda: [tnm.unrank_mask(i, n, m) for i in indices])),
        _record(
            RANK, n, m, 200, _seconds(lambda: [tnm.rank_mask(mask, n, m) for mask in masks[:200]])
        ),
    ]
    return [{**record, "disagreement": wrong, "peer": UNRANK} for record in records]


def _chain(context: Context, n: int, m: int) -> Record:
    count = 100 if context.quick else 1000
    seconds = _seconds(lambda: tnm.sample_masks(n, m, count, rng=0, exact=False, threads=1))
    return _record(CHAIN, n, m, count, seconds)


def _rejection(context: Context, n: int, m: int) -> Record:
    rng = np.random.default_rng(0)
    draws = 20_000 if context.quick else 100_000
    start, found = process_time(), 0
    while found < 20:
        found += len(rejection_sample(n, m, draws, rng))
    return _record(REJECTION, n, m, found, process_time() - start)


def _run(context: Context) -> list[Record]:
    records = [record for n in (1, 2, 4) for record in _listing(context, n, 8)]
    for record in records:
        if not context.quick and (record["n"], record["call"]) == (2, CHUNKS):
            record.update(disagreement=_ascends_completely(), peer=CHUNKS)
    patterns = [(2, 4), (4, 8), (8, 16), (4, 32), (4, 64)] + [(10, 20)] * (not context.quick)
    for n, m in patterns:
        records += _drawing(context, n, m)
    records += [_rejection(context, n, m) for n, m in ((2, 4), (4, 8))]
    records += [_chain(context, m // 2, m) for m in (8, 16, 32, 64)]
    return [{"distribution": "-", **record} for record in records]


def _listing_table(records: list[Record]) -> str:
    calls = (CORE, CHUNKS, SINGLE, NAIVE)
    rows = []
    for n in (1, 2, 4):
        found = {r["call"]: r for r in records if (r["n"], r["m"]) == (n, 8)}
        rows.append([f"{n}:8", *(number(1 / found[call]["microseconds"]) for call in calls)])
    return markdown(["million masks per second", *calls], rows)


def _drawing_table(records: list[Record]) -> str:
    calls = (EXACT, REJECTION, CHAIN, UNRANK, RANK)
    patterns = dict.fromkeys((r["n"], r["m"]) for r in records if r["call"] in calls)
    rows = []
    for n, m in sorted(patterns, key=lambda pattern: (pattern[1], pattern[0])):
        found = {r["call"]: r["microseconds"] for r in records if (r["n"], r["m"]) == (n, m)}
        table = number(found[BUILD] / 1e3) if BUILD in found else ""
        rows.append([f"{n}:{m}", *(number(found[c]) if c in found else "" for c in calls), table])
    return markdown(["microseconds per mask", *calls, "table built in (ms)"], rows)


def _table(records: list[Record]) -> str:
    return f"{_listing_table(records)}\n{_drawing_table(records)}"


SECTION = Section(
    "enumeration",
    "Listing, numbering and drawing masks",
    "One thread, processor time. All 187,530,840 masks of 2:8 are listed, and looked at once. The "
    "chain makes 20 m trades per mask.",
    _run,
    _table,
)
