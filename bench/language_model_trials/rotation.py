"""Rotating the residual stream of a decoder with RMSNorm, which leaves what it computes as it was.

What writes on the stream is multiplied by Qᵀ and what reads it by Q, after the scales of the
normalisations went into what reads them (Ashkboos et al., SliceGPT, ICLR 2024). Which Q then loses
least by pruning is the question: the principal axes of the stream, or one that makes the importance
of weights as uneven as it can, by gradient descent on its entropy (DenoiseRotator,
arXiv 2505.23049).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from tnm_core.torch.calibrate import Statistics

READERS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
FEED_FORWARD_READERS = ("mlp.gate_proj", "mlp.up_proj")
WRITERS = ("self_attn.o_proj", "mlp.down_proj")
STEPS, RATE = 60, 0.02


@torch.no_grad()
def move_scales_(model: Any) -> None:
    """Put the scales of normalisations into the layers that read them; the head is untied."""
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.clone())
    model.config.tie_word_embeddings = False
    for block in model.model.layers:
        _move_(block.input_layernorm, block, READERS)
        _move_(block.post_attention_layernorm, block, FEED_FORWARD_READERS)
    _move_(model.model.norm, model, ("lm_head",))


def _move_(norm: Any, module: nn.Module, names: Sequence[str]) -> None:
    for name in names:
        module.get_submodule(name).weight.mul_(norm.weight)
    norm.weight.fill_(1.0)


@torch.no_grad()
def rotate_(model: Any, rotation: torch.Tensor) -> None:
    """Rotate the stream of a model whose scales were moved, by an orthogonal matrix."""
    model.model.embed_tokens.weight.copy_(model.model.embed_tokens.weight @ rotation)
    model.lm_head.weight.copy_(model.lm_head.weight @ rotation)
    for block in model.model.layers:
        for name in (*READERS, *FEED_FORWARD_READERS):
            weight = block.get_submodule(name).weight
            weight.copy_(weight @ rotation)
        for name in WRITERS:
            layer = block.get_submodule(name)
            layer.weight.copy_(rotation.T @ layer.weight)
            if layer.bias is not None:
                layer.bias.copy_(layer.bias @ rotation)


def principal_axes(statistics: Statistics) -> torch.Tensor:
    """Axes of the stream as the layers get it, the weakest first."""
    total = sum(
        one.xx[0] / one.xx[0].trace()
        for name, one in statistics.layers.items()
        if name.endswith((*READERS, *FEED_FORWARD_READERS))
    )
    return torch.linalg.eigh(total)[1].float()


def concentrating(model: nn.Module, statistics: Statistics) -> torch.Tensor:
    """The rotation of least entropy of importances, which are wᵢⱼ² times the mean of xⱼ²."""
    size = next(
        one.xx.shape[2] for name, one in statistics.layers.items() if name.endswith(READERS)
    )
    turn = nn.utils.parametrizations.orthogonal(nn.Linear(size, size, bias=False))
    with torch.no_grad():
        turn.weight = torch.eye(size)
    weights = {name: model.get_submodule(name).weight.detach() for name in statistics.layers}
    moments = {
        name: one.xx[0].float() / float(one.count) for name, one in statistics.layers.items()
    }
    optimizer = torch.optim.Adam(turn.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        _entropy(turn.weight, weights, moments).backward()
        optimizer.step()
    return turn.weight.detach().clone()


def _entropy(
    rotation: torch.Tensor, weights: Mapping[str, torch.Tensor], moments: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Sum over layers of the entropy of how importance is shared out among their weights."""
    found = []
    for name, weight in weights.items():
        if name.endswith(WRITERS):
            turned, energy = rotation.T @ weight, moments[name].diagonal()
        else:
            turned = weight @ rotation
            energy = ((moments[name] @ rotation) * rotation).sum(0)
        importance = turned.square() * energy
        share = importance / importance.sum()
        found.append(-(share * (share + 1e-30).log()).sum())
    return torch.stack(found).sum()
