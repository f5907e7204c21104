"""Tables of training steps."""

from __future__ import annotations

from bench.context import Record
from bench.tables import markdown, number

REFRESH_EVERY = 40


def render(records: list[Record]) -> str:
    """Show the steps of each model, dense first."""
    dense = {_case(r): r["seconds"] for r in records if r["pattern"] is None}
    header = ["a training step", "optimizer", "tokens", "pattern", "ms", "times dense"]
    header += ["repacking, of the step", f"times dense, masks anew every {REFRESH_EVERY} steps"]
    rows = [_row(record, dense[_case(record)]) for record in records]
    return f"{markdown(header, rows)}\n{_verdict(records)}"


def _case(record: Record) -> tuple[object, ...]:
    return record["model"], record["tokens"]


def _row(record: Record, dense: float) -> list[str]:
    step, pattern = record["seconds"], record["pattern"]
    start = [record["model"], record["optimizer"], str(record["tokens"]), pattern or "dense"]
    start.append(number(1000 * step))
    if pattern is None:
        return [*start, "1", "", ""]
    with_refresh = step + record["refresh_seconds"] / REFRESH_EVERY
    share = f"{100 * record['repack_seconds'] / step:.1f} %"
    return [*start, f"{dense / step:.2f}", share, f"{dense / with_refresh:.2f}"]


def _verdict(records: list[Record]) -> str:
    wrong = [record["case"] for record in records if record["disagreement"]]
    if wrong:
        return f"**These models do not agree with float64: {'; '.join(wrong)}.**\n"
    return "Outputs and input gradients of all models agree with masked dense ones in float64.\n"
