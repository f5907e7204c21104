"""Training with masks that stay as they are."""

from __future__ import annotations

from tnm_core.torch.training.hooks import MaskOwner


class StaticMask(MaskOwner):
    """Train a sparse model with fixed masks: prune once, then fine-tune.

    Gradients of pruned entries are zero, and so are the entries themselves, in the dense weights
    too, from attaching on and after each step.

    Attributes
    ----------
    steps : int
        Optimizer steps so far.

    Notes
    -----
    The static recipe of Hubara et al., "Accelerated Sparse Neural Training" (NeurIPS 2021),
    where the masks are those of a trained dense model.

    Examples
    --------
    >>> import torch
    >>> from tnm_core.torch import StaticMask, sparsify_
    >>> model = torch.nn.Sequential(torch.nn.Linear(16, 8))
    >>> report = sparsify_(model, "2:4")
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> static = StaticMask().attach(model, optimizer)
    >>> model(torch.ones(1, 16)).sum().backward()
    >>> optimizer.step()
    >>> int((model[0].parametrizations.weight.original == 0).sum())
    64
    """

    def _enter(self) -> None:
        for weight in self._weights:
            weight.set_mode("masked")
            weight.zero_pruned_()

    def _after_step(self) -> None:
        for weight in self._weights:
            weight.zero_pruned_()
