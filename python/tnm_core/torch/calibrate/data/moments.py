"""Second moments of a layer's inputs and outputs, in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over rows of inputs x and wanted outputs y, for each of a layer's problems.

    They are not changed once they are made, so that layers can share them.

    Attributes
    ----------
    count : torch.Tensor of int64, 0-D
        Rows added.
    x, y : torch.Tensor of float64, shapes (groups, columns) and (groups, outputs)
        Sums of the rows.
    xx, yx : torch.Tensor of float64, shapes (groups, columns, columns), (groups, outputs, columns)
        Sums of outer products, XᵀX and YᵀX.
    yy : torch.Tensor of float64, shape (groups, outputs)
        Sums of squares.
    """

    count: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor
    xx: torch.Tensor
    yx: torch.Tensor
    yy: torch.Tensor

    @torch.no_grad()
    def with_outputs(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Moments:
        """Return moments of the same inputs, with W x + b in place of the outputs.

        Parameters
        ----------
        weight : torch.Tensor, shape (groups, outputs, columns)
            W.
        bias : torch.Tensor, shape (groups, outputs), optional
            b.

        Returns
        -------
        Moments
            They share `count`, `x` and `xx` with these.
        """
        weight = weight.to(torch.float64)
        shift = weight.new_zeros(weight.shape[:2]) if bias is None else bias.to(torch.float64)
        own = weight @ self.xx
        through = torch.einsum("goc,gc->go", weight, self.x)
        return Moments(
            count=self.count,
            x=self.x,
            y=through + self.count * shift,
            xx=self.xx,
            yx=own + shift[:, :, None] * self.x[:, None, :],
            yy=(own * weight).sum(2) + (2 * through + self.count * shift) * shift,
        )

    def plus(self, other: Moments) -> Moments:
        """Return the sums over the rows of both, on the device of these."""
        if other.yx.shape != self.yx.shape:
            raise ValueError(
                f"the other moments have shape {tuple(other.yx.shape)}, expected "
                f"{tuple(self.yx.shape)}"
            )
        more = other.state_dict()
        return Moments(**{k: own + more[k].to(own.device) for k, own in self.state_dict().items()})

    def is_finite(self) -> bool:
        """Whether no NaN and no infinity got in."""
        return all(bool(one.isfinite().all()) for one in self.state_dict().values())

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the sums by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, torch.Tensor]) -> Moments:
        """Undo `state_dict`."""
        names = [one.name for one in fields(cls)]
        if set(state) != set(names):
            raise ValueError(f"state holds {sorted(state)}, expected {sorted(names)}")
        groups, columns = state["x"].shape
        outputs = state["y"].shape[1]
        shapes = {
            "count": (),
            "xx": (groups, columns, columns),
            "yx": (groups, outputs, columns),
            "yy": (groups, outputs),
        }
        for name, shape in shapes.items():
            if state[name].shape != shape:
                raise ValueError(f"{name} has shape {tuple(state[name].shape)}, expected {shape}")
        return cls(**state)
