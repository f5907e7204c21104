"""Second moments of a layer's inputs and outputs, in float64, and adding them up."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch

from tnm_core.short_repr import short_repr

# Rows are turned to float64 and multiplied so many at a time.
CHUNK_ROWS = 2048
# Of XᵀX, so many columns at a time are multiplied with themselves and those to their right.
STRIP_COLUMNS = 256


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

    __repr__ = short_repr

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


class MomentSums:
    """Sums that grow row by row until they are read as `Moments`.

    Their memory does not depend on how many rows are added. Of XᵀX, which is symmetric, only what
    lies on and above the diagonal is added up. `outputs` may be 0 if only inputs are wanted.
    """

    def __init__(
        self, groups: int, columns: int, outputs: int, device: torch.device | None = None
    ) -> None:
        def zeros(*shape: int) -> torch.Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        self._count = torch.zeros((), dtype=torch.int64)
        self._x, self._y = zeros(groups, columns), zeros(groups, outputs)
        self._upper_xx = zeros(groups, columns, columns)
        self._yx, self._yy = zeros(groups, outputs, columns), zeros(groups, outputs)
        starts = range(0, columns, STRIP_COLUMNS)
        self._strips = [slice(start, min(start + STRIP_COLUMNS, columns)) for start in starts]

    @torch.no_grad()
    def add(self, x: torch.Tensor, y: torch.Tensor | None = None) -> None:
        """Add rows: x of shape (groups, rows, columns), y of shape (groups, rows, outputs)."""
        self._check(x, y)
        rows = x.shape[1]
        for start in range(0, rows, CHUNK_ROWS):
            chunk = x[:, start : start + CHUNK_ROWS].to(torch.float64)
            self._x += chunk.sum(1)
            self._add_products(chunk)
            if y is not None:
                wanted = y[:, start : start + CHUNK_ROWS].to(torch.float64)
                self._y += wanted.sum(1)
                self._yy += wanted.square().sum(1)
                self._yx.baddbmm_(wanted.transpose(1, 2), chunk)
        self._count += rows

    def copy(self) -> MomentSums:
        """Return sums of the same rows that grow on their own."""
        return copy.deepcopy(self)

    def moments(self) -> Moments:
        """Return the sums so far."""
        xx = self._upper_xx.clone()
        for strip in self._strips:
            below = slice(strip.stop, None)
            xx[:, below, strip] = xx[:, strip, below].transpose(1, 2)
        return Moments(
            self._count.clone(), self._x.clone(), self._y.clone(), xx, self._yx.clone(),
            self._yy.clone(),
        )  # fmt: skip

    def _check(self, x: torch.Tensor, y: torch.Tensor | None) -> None:
        groups, rows = x.shape[:2]
        outputs = self._y.shape[1]
        if x.shape[::2] != self._x.shape:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected ({self._x.shape[0]}, rows, "
                f"{self._x.shape[1]})"
            )
        if y is None and outputs:
            raise ValueError(f"y is missing, expected {rows} rows of {outputs} outputs")
        if y is not None and tuple(y.shape) != (groups, rows, outputs):
            raise ValueError(f"y has shape {tuple(y.shape)}, expected {(groups, rows, outputs)}")

    def _add_products(self, chunk: torch.Tensor) -> None:
        if len(self._strips) == 1:
            self._upper_xx.baddbmm_(chunk.transpose(1, 2), chunk)
            return
        for sums, rows in zip(self._upper_xx, chunk, strict=True):
            for strip in self._strips:
                sums[strip, strip.start :].addmm_(rows[:, strip].T, rows[:, strip.start :])
