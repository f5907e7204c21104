"""Tuning a block whose layers are pruned: Adam on what they keep, towards the dense outputs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate.data import Calibration, Run
from tnm_core.torch.calibrate.model.block_outputs import BlockOutputs
from tnm_core.torch.calibrate.model.prune_report import TunedBlock
from tnm_core.torch.calibrate.model.tunable import TunedTensor, tunable_parameters, tuned_tensors

# Share of the steps in which the rate rises; it falls to zero in the others.
_WARM_UP = 0.1


def check_tunable(
    model: nn.Module, calibration: Calibration, batch: Any, layers: Iterable[str], norms: bool
) -> None:
    """Raise what `tune_block_` would for the whole model, before hours are spent."""
    tuned = tuned_tensors(tunable_parameters(model, "", layers, norms), {})
    run = partial(calibration.forward, model, batch)
    block = BlockOutputs("", model, [Run(run, run, calibration.rows(batch))])
    if not tuned:
        return
    with torch.enable_grad():
        values = {name: one.value(one.moved) for name, one in tuned.items()}
        block.gradients(block.batches[0], values, [one.moved for one in tuned.values()])


def tune_block_(
    model: nn.Module,
    name: str,
    runs: Iterable[Run],
    masks: Mapping[str, torch.Tensor],
    *,
    epochs: int,
    rate: float,
    norms: bool = True,
    seed: int = 0,
) -> TunedBlock:
    """Bring a pruned block's outputs closer to the dense ones by Adam, with the masks fixed.

    The tensors of the epoch whose error on all data is least are written into the model at the
    end, if that is less than the error before; else it stays as it is, as after any exception.

    The block with the name ``""`` is the whole model; masks are by pruned layer; the rate is the
    highest step of Adam, relative to the root mean square of each tensor; `norms` says whether to
    tune scale and shift of normalisations, too.
    """
    start = time.perf_counter()
    block = BlockOutputs(name, model.get_submodule(name), runs)
    prefix = len(name) + 1 if name else 0
    found = tunable_parameters(model, name, masks, norms)
    tuned = tuned_tensors(found, masks)
    before = block.error({})
    if not math.isfinite(before):
        raise block.not_finite()
    best, epoch, kept = before, 0, None
    short = {full[prefix:]: one for full, one in tuned.items()}
    for done, error in enumerate(_epochs(block, short, epochs, rate, seed), 1):
        if error < best:
            best, epoch = error, done
            kept = [one.moved.detach().clone() for one in tuned.values()]
        if not math.isfinite(error):
            break  # it will not recover
    if kept is not None:
        with torch.no_grad():
            for one, moved in zip(tuned.values(), kept, strict=True):
                one.parameter.copy_(one.value(moved))
    return TunedBlock(name, before, best, epoch, time.perf_counter() - start)


def _epochs(
    block: BlockOutputs, tuned: Mapping[str, TunedTensor], epochs: int, rate: float, seed: int
) -> Iterator[float]:
    """Move the tensors; yield the error after each epoch."""
    if not tuned:
        return  # Adam wants some
    generator = torch.Generator().manual_seed(seed)
    moved = [one.moved for one in tuned.values()]
    optimizer = torch.optim.Adam(moved, lr=rate)
    total = epochs * len(block.batches)
    done = 0
    for _ in range(epochs):
        for index in torch.randperm(len(block.batches), generator=generator).tolist():
            done += 1
            optimizer.param_groups[0]["lr"] = rate * share_of_rate(done, total)
            with torch.enable_grad():
                values = {name: one.value(one.moved) for name, one in tuned.items()}
                gradients = block.gradients(block.batches[index], values, moved)
            for one, gradient in zip(tuned.values(), gradients, strict=True):
                one.set_gradient(gradient)
            optimizer.step()
        yield block.error({name: one.value(one.moved.detach()) for name, one in tuned.items()})


def share_of_rate(step: int, steps: int) -> float:
    """Rises over the first steps, then falls to zero; steps count from 1."""
    return min(step / max(_WARM_UP * steps, 1.0), 1.0) * (1 - (step - 1) / steps)
