"""Looking at once whether the weights of many layers are finite."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch

from tnm_core.torch.layers import MaskedWeight
from tnm_core.torch.tensors import are_finite, local_values


def names_of_finite(weights: Iterable[MaskedWeight]) -> frozenset[str]:
    """Name the layers whose weights, as far as they lie on this rank's devices, are all finite.

    Each device is waited for once, and not once for each layer. Layers on the host are not named:
    what finds their masks sees it on the way.
    """
    answers: dict[torch.device, dict[str, torch.Tensor]] = defaultdict(dict)
    for weight in weights:
        values = local_values(weight.parameter)
        if not _is_host(values.device):
            answers[values.device][weight.name] = are_finite(values)
    return frozenset(
        name
        for known in answers.values()
        for name, finite in zip(known, torch.stack(list(known.values())).tolist(), strict=True)
        if finite
    )


def _is_host(device: torch.device) -> bool:
    return device.type == "cpu"
