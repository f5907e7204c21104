"""Which optimizers divide gradients by their own size."""

from __future__ import annotations

import torch

_ADAPTIVE = ("Adadelta", "Adafactor", "Adagrad", "RMSprop", "Rprop", "Muon")


def is_adaptive(optimizer: torch.optim.Optimizer) -> bool:
    """Tell whether a term that is added to small gradients changes steps by little or nothing.

    Adam and its kin have ``betas``; so has Lion, which takes signs.
    """
    return "betas" in optimizer.defaults or any(
        base.__name__.startswith(_ADAPTIVE) for base in type(optimizer).__mro__
    )
