"""Every instruction set that this machine can run, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import tnm_core as tnm
from bench.context import Context, Record, note
from bench.distributions import title
from bench.sections.base import Section
from bench.tables import by_m, pivot, rate

NAMES = ("baseline", "avx2", "avx512")


def _run(context: Context) -> list[Record]:
    info = tnm.build_info()
    if "instruction_set" not in info:
        note("  skipped: this build of tnm_core has one code path for all instruction sets")
        return []
    records: list[Record] = []
    for name in NAMES:
        answer = _forced(context, name)
        if answer is not None:
            records.extend(answer)
    _require_same_masks(records)
    return records


def _forced(context: Context, name: str) -> list[Record] | None:
    """Run the worker with an instruction set forced; None where it cannot be used here."""
    command = [sys.executable, "-m", "bench.worker", *(["--quick"] if context.quick else [])]
    answer = subprocess.run(
        command, env={**os.environ, "TNM_FORCE_ISA": name}, capture_output=True, text=True
    )
    if answer.returncode != 0:
        last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        note(f"  skipped: {name}: {last}")
        return None
    result = json.loads(answer.stdout)
    if result["instruction_set"] != name:
        raise AssertionError(f"TNM_FORCE_ISA={name} ran {result['instruction_set']}")
    return [{"instruction_set": name, **record} for record in result["records"]]


def _require_same_masks(records: list[Record]) -> None:
    seen: dict[tuple[str, int], str] = {}
    for record in records:
        case = (record["distribution"], record["m"])
        if seen.setdefault(case, record["sha256"]) != record["sha256"]:
            raise AssertionError(f"{case}: {record['instruction_set']} gives another mask")


def _table(records: list[Record]) -> str:
    if not records:
        return "This build has one code path for all instruction sets.\n"
    return pivot(
        records,
        "instruction set",
        lambda r: f"{r['instruction_set']}, {title(r['distribution'])}",
        lambda r: r["m"],
        rate,
        by_m,
    )


SECTION = Section(
    "instruction_sets",
    "Every instruction set",
    "Million entries per second, float32, n = m / 2, one thread, `TNM_FORCE_ISA` set. The masks "
    "are the same bit for bit.",
    _run,
    _table,
)
