"""Where the time goes, stage by stage."""

from __future__ import annotations

from bench import native
from bench.context import Context, Record, note
from bench.distributions import draw
from bench.sections.base import Section
from bench.surface.stage_profile import STAGES, profile
from bench.tables import markdown, number

SIZES = (8, 16, 32, 64)
ROWS, COLUMNS = 1024, 8192


def _run(context: Context) -> list[Record]:
    weights = draw("normal", (ROWS, COLUMNS), 2, 4)
    try:
        return [profile(weights, m, context.seconds) for m in SIZES]
    except native.UnavailableError as reason:
        note(f"  skipped: {reason}")
        return []


def _table(records: list[Record]) -> str:
    header = ["stage, ns per entry", *(f"m = {r['m']}" for r in records)]
    # Results that were kept before lack the newer stages; what was not needed says nothing.
    stages = [stage for stage in STAGES if any(r.get(stage, 0) > 1e-3 for r in records)]
    rows = [
        [stage, *(f"{r.get(stage, 0) * 1000 / r['rate']:.3f}" for r in records)] for stage in stages
    ]
    rows.append(["all stages", *(f"{1000 / r['rate']:.3f}" for r in records)])
    rows.append(["million entries/s", *(number(r["rate"]) for r in records)])
    rows.append(["tiles that need a search", *(f"{100 * r['searched']:.1f} %" for r in records)])
    return markdown(header, rows)


SECTION = Section(
    "stages",
    "The stages of a strip",
    "One thread, n = m / 2, normal float32 weights, one strip after another.",
    _run,
    _table,
    page="stages",
)
