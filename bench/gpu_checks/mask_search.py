"""Finding masks on the device: the same as on the host, and how long it takes."""

from __future__ import annotations

import numpy as np
import torch

import tnm_core as tnm
from bench.gpu_checks.settings import Record, Say, Settings
from tnm_core.torch import nm_mask, transposable_mask
from tnm_core.torch.linear.device_timing import seconds_of_call

PATTERNS = ((2, 4), (4, 8))


def run(settings: Settings, say: Say) -> list[Record]:
    """One record for each pattern and size; `wrong` says where the masks differ."""
    records: list[Record] = []
    for n, m in PATTERNS:
        for size in settings.search_sizes:
            if settings.out_of_time:
                say("out of time")
                return records
            records.append(_search(settings, n, m, size))
            say(f"{n}:{m}, {size} x {size}: {records[-1]['seconds'] * 1e3:.2f} ms")
    return records


def _search(settings: Settings, n: int, m: int, size: int) -> Record:
    torch.manual_seed(size)
    weight = torch.randn(size, size, device=settings.device).bfloat16()
    mask = transposable_mask(weight, n, m)
    # Sums of bfloat16 scores are nearly always exact in float32: ties alone tell masks apart.
    scores = weight.float().abs().cpu()
    best = torch.from_numpy(tnm.transposable_mask(scores.numpy(), n, m))
    kept = [float(scores[chosen].double().sum()) for chosen in (mask.cpu(), best)]
    wrong = []
    if not tnm.is_transposable(mask.cpu().numpy(), n, m):
        wrong.append("not transposable")
    if abs(kept[0] - kept[1]) > 1e-9 * abs(kept[1]):
        wrong.append(f"score {kept[0]}, the optimum is {kept[1]}")
    if not np.array_equal(nm_mask(weight, n, m).cpu().numpy(), tnm.nm_mask(scores.numpy(), n, m)):
        wrong.append("the row-wise mask is another than on the CPU")
    return {
        "pattern": f"{n}:{m}",
        "size": size,
        "seconds": seconds_of_call(
            lambda: transposable_mask(weight, n, m), settings.device, settings.seconds
        ),
        "identical": bool(torch.equal(mask.cpu(), best)),
        "wrong": wrong,
    }
