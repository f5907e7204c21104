"""What sparse products bring a pruned model, measured alone, after all that prunes is done.

Speeds depend on where the zeros are and not on the weights, so that masks of magnitudes do for all
recipes of a pattern.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench import machine
from bench.study.pruning import one_thread
from bench.study.runs import Announce, Result, Results, complete
from bench.study.study_model import StudyModel
from bench.study.variants import NOTHING
from tnm_core.torch import pack_for_inference_, prune_model_, remove_sparsity_
from tnm_core.torch.calibrate import fold_batch_norm_


@dataclass(frozen=True)
class Timed:
    """What is timed, and on which machine; "mixed" is what was allocated."""

    pattern: str
    machine: str


def complete_speeds(
    speeds: Results[Timed],
    found: Iterable[Result],
    study_model: StudyModel,
    announce: Announce | None = None,
) -> None:
    """Time each pattern that results are there for and this machine has not timed, in turns."""
    layers = {
        one["pattern"]: {layer["name"]: layer["pattern"] for layer in one["layers"]}
        for one in found
        if one["recipe"] != NOTHING
    }
    here = machine.hardware()
    wanted = [(Timed(pattern, here), 0) for pattern in layers]
    complete(speeds, wanted, partial(_timed, study_model, layers), 0, announce)


def _timed(
    study_model: StudyModel, layers: dict[str, dict[str, str]], timed: Timed, seed: int
) -> Result:
    model = study_model.model()
    batches = study_model.calibration(seed, study_model.facts.samples)[:1]
    with one_thread():
        prune_model_(model, batches, layers[timed.pattern], "magnitude")
        remove_sparsity_(model)
        found = sparse_speeds(study_model, model, [*layers[timed.pattern]], batches[0])
    return {
        "pattern": timed.pattern,
        "machine": timed.machine,
        "software": machine.software(),
        "seed": seed,
        "date": date.today().isoformat(),
        **found,
    }


def sparse_speeds(
    study_model: StudyModel, model: nn.Module, layers: list[str], batch: Any
) -> dict[str, Any]:
    """Compare the pruned model as it is with one that has sparse products where they pay.

    Both have no batch normalisation left, as in use.
    """
    if any(isinstance(module, _BatchNorm) for module in model.modules()):
        fold_batch_norm_(model, batch)
    packed = copy.deepcopy(model)
    try:
        pack_for_inference_(packed, include=layers)
    except ValueError as error:  # nothing to gain in any layer
        return {"measures": {}, "not packed": str(error)}
    return {"measures": study_model.speeds(model, packed)}
