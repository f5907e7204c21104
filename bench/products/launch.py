"""Workers with an instruction set and a number of threads, ours and those of peers."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import tnm_core as tnm
from bench.context import Context, Record, note

# What holds torch, MKL, oneDNN and OpenBLAS to the same instructions.
HELD = {
    "baseline": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "avx512": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "OPENBLAS_CORETYPE": "SkylakeX",
    },
    "avx512_bf16": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512_E1",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16",
        "OPENBLAS_CORETYPE": "Cooperlake",
    },
}
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Threads that wait by spinning take the cores away from whoever has the next turn.
WAITING = {"KMP_BLOCKTIME": "0", "OMP_WAIT_POLICY": "passive", "OPENBLAS_THREAD_TIMEOUT": "4"}


def run_worker(
    context: Context, plan: str, *, threads: int = 1, instruction_set: str | None = None
) -> list[Record]:
    """Run a plan; without an instruction set everyone takes what the machine has.

    The widest one of the machine holds nobody. Nothing comes back where this machine has not the
    instruction set, and that is said.
    """
    held = instruction_set not in (None, tnm.build_info()["instruction_set"])
    command = [sys.executable, "-m", "bench.products.worker", plan, "--threads", str(threads)]
    command += ["--quick"] if context.quick else []
    command += ["--held"] if held else []
    command += ["--limits"] if instruction_set is not None else []
    answer = subprocess.run(
        command, env=environment(threads, instruction_set, held), capture_output=True, text=True
    )
    lines = answer.stderr.strip().splitlines()
    if answer.returncode == 0:
        for line in dict.fromkeys(line for line in lines if line.startswith("skipped:")):
            note(f"  {line}")
        records: list[Record] = json.loads(answer.stdout.splitlines()[-1])
        return records
    if instruction_set is None:
        raise RuntimeError(f"the worker for {plan} failed:\n{answer.stderr}")
    note(f"  skipped: {instruction_set}: {(lines or ['no message'])[-1]}")
    return []


def environment(threads: int, instruction_set: str | None, held: bool) -> dict[str, str]:
    """Set what libraries read when they are loaded."""
    changed = dict.fromkeys(THREADS, str(threads)) | (WAITING if threads > 1 else {})
    if instruction_set is not None:
        changed["TNM_FORCE_ISA"] = instruction_set
    if held and instruction_set is not None:
        changed |= HELD[instruction_set]
    return {**os.environ, **changed}
