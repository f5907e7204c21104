"""The reconstructions of AdaPrune: Adam on a layer's outputs, and absorbing the mean."""

from __future__ import annotations

import torch


def adam_reconstruction(
    x: torch.Tensor,
    y: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    mask: torch.Tensor,
    *,
    iterations: int = 1000,
    batch: int = 50,
    rate: float = 1e-3,
    bias_rate: float = 1e-2,
    seed: int = 0,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Minimise the mean squared error of a layer's outputs by Adam, with the mask fixed.

    Hubara et al., "Accelerated Sparse Neural Training" (NeurIPS 2021), with the rates,
    iterations and batch of their code. Rows of inputs x and wanted outputs y have the shapes
    (groups, rows, columns) and (groups, rows, outputs); the new bias is None if the old one was.
    """
    generator = torch.Generator().manual_seed(seed)
    kept = mask.to(x.dtype)
    with torch.enable_grad():
        parameter = (weight.to(x.dtype) * kept).requires_grad_()
        groups = [{"params": [parameter], "lr": rate}]
        shift = None if bias is None else bias.to(x.dtype).clone().requires_grad_()
        if shift is not None:
            groups.append({"params": [shift], "lr": bias_rate})
        optimizer = torch.optim.Adam(groups)
        for _ in range(iterations):
            rows = torch.randint(0, x.shape[1], (batch,), generator=generator).to(x.device)
            output = x[:, rows] @ (parameter * kept).transpose(1, 2)
            if shift is not None:
                output = output + shift[:, None, :]
            loss = (output - y[:, rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return (parameter * kept).detach(), None if shift is None else shift.detach()


def absorb_mean(weight: torch.Tensor, mask: torch.Tensor, m: int) -> torch.Tensor:
    """Add to the kept weights of every m along the last axis the mean of the pruned ones."""
    parts = []
    for values, kept in zip(torch.split(weight, m, -1), torch.split(mask, m, -1), strict=True):
        pruned = torch.where(kept, 0.0, values).sum(-1, keepdim=True)
        count = (~kept).sum(-1, keepdim=True).clamp_min(1)
        parts.append(torch.where(kept, values + pruned / count, 0.0))
    return torch.cat(parts, -1)
