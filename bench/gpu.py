"""Check sparse products on a GPU: `python -m bench.gpu [-o build/gpu] [--only SECTION ...]`.

Correctness against float64, mask search, an MLP block and single layers, within 8 minutes. Needs a
CUDA device of compute capability 8.0 or above; `--cpu-check` runs the same code tiny on the CPU.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import tnm_core as tnm
from bench.context import note
from bench.native import UnavailableError
from tnm_core.extras import how_to_install

if TYPE_CHECKING:
    from bench.gpu_checks.settings import Settings

NO_GPU = (
    "no CUDA device was found; expected an NVIDIA GPU of compute capability 8.0 or "
    "above and a CUDA build of torch. Nothing was measured. --cpu-check runs the same code on the "
    "CPU, tiny, to see that it works"
)
BUDGET = 450.0  # seconds; what has begun then is finished, within the 8 minutes


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        settings = _settings(options)
    except UnavailableError as reason:
        print(f"bench.gpu: {reason}", file=sys.stderr)
        return 2
    from bench.gpu_checks import SECTIONS, report

    options.output.mkdir(parents=True, exist_ok=True)
    sections = {}
    for name, run in SECTIONS.items():
        if not options.only or name in options.only:
            note(f"{name} ...")
            sections[name] = run(settings, lambda text: note(f"  {text}"))
    facts = _machine(settings, monotonic() - settings.started)
    results: dict[str, Any] = {"machine": facts, "sections": sections}
    (options.output / "gpu.json").write_text(json.dumps(results, indent=1) + "\n")
    table = report.render(results)
    if report.draw(results, options.output / "gpu.png"):
        table += "\n![Speed-up against tokens](gpu.png)\n"
    (options.output / "gpu.md").write_text(table)
    note(f"\n{table}")
    return _complain(sections)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu", description=__doc__.split("\n\n")[1] if __doc__ else None
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("build/gpu"))
    parser.add_argument("--cpu-check", action="store_true", help="a tiny dry run on the CPU")
    names = ("correctness", "mask search", "MLP", "products")
    parser.add_argument("--only", nargs="+", metavar="SECTION", choices=names)
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds, at most")
    return parser.parse_args(arguments)


def _settings(options: argparse.Namespace) -> Settings:
    """What to measure; `UnavailableError` if nothing can be measured here."""
    try:
        import torch
    except ImportError:
        raise UnavailableError(f"needs torch: {how_to_install('torch')}") from None
    from bench.gpu_checks.settings import for_cpu_check, for_gpu

    if options.cpu_check:
        return for_cpu_check()
    if not torch.cuda.is_available():
        raise UnavailableError(NO_GPU)
    settings = for_gpu(torch.device("cuda", torch.cuda.current_device()), options.budget)
    reason = _why_not_sparse(settings)
    if reason:
        raise UnavailableError(f"{reason}. Nothing was measured")
    return settings


def _why_not_sparse(settings: Settings) -> str | None:
    """Say why this GPU cannot multiply sparsely, if it cannot."""
    from tnm_core import Pattern
    from tnm_core.torch.linear.backends import BACKENDS
    from tnm_core.torch.linear.linear_spec import LinearSpec

    spec = LinearSpec(16, 16, Pattern(2, 4), settings.device, settings.dtypes[0])
    return BACKENDS[settings.backend].unavailable_reason(spec)


def _machine(settings: Settings, seconds: float) -> dict[str, Any]:
    import torch

    facts: dict[str, Any] = {"device": "cpu", "dry_run": not settings.is_cuda}
    if settings.is_cuda:
        properties = torch.cuda.get_device_properties(settings.device)
        facts["device"] = properties.name
        facts["capability"] = f"{properties.major}.{properties.minor}"
        facts["memory"] = f"{properties.total_memory / 2**30:.0f} GiB"
        facts["cuda"] = torch.version.cuda
        facts["cusparselt"] = torch.backends.cusparselt.version()
    facts["torch"] = torch.__version__
    facts["tnm_core"] = tnm.__version__
    facts["seconds"] = round(seconds, 1)
    return facts


def _complain(sections: dict[str, list[dict[str, Any]]]) -> int:
    """Exit status 1 if any result is wrong."""
    wrong = [r for records in sections.values() for r in records if r.get("wrong")]
    for record in wrong:
        print(f"WRONG: {json.dumps(record)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
