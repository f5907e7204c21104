"""Streaming second moments of a layer's inputs and outputs, in float64."""

from __future__ import annotations

from collections.abc import Mapping

import torch

__all__ = ["Moments"]

# Rows are turned to float64 and multiplied so many at a time.
CHUNK_ROWS = 2048
# Of XᵀX, so many columns at a time are multiplied with themselves and those to their right.
STRIP_COLUMNS = 256

_FIELDS = ("count", "x", "y", "xx", "yx", "yy")


class Moments:
    """Sums over rows of inputs x and wanted outputs y, for each of a layer's problems.

    Its memory does not depend on how many rows are added.

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

    Parameters
    ----------
    groups, columns, outputs : int
        The problems' shapes; outputs may be 0 if only inputs are wanted.
    device : torch.device, optional
        Where the sums lie.
    """

    _xx: torch.Tensor
    _one_sided: bool
    _shared: bool

    def __init__(
        self, groups: int, columns: int, outputs: int, device: torch.device | None = None
    ) -> None:
        def zeros(*shape: int) -> torch.Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        self.count = torch.zeros((), dtype=torch.int64)
        self.x, self.y = zeros(groups, columns), zeros(groups, outputs)
        self.xx, self.yx = zeros(groups, columns, columns), zeros(groups, outputs, columns)
        self.yy = zeros(groups, outputs)
        self._shared = False

    @property
    def xx(self) -> torch.Tensor:
        """XᵀX, whose lower left is filled in when it is asked for."""
        if self._one_sided:
            for strip in self._strips():
                below = slice(strip.stop, None)
                self._xx[:, below, strip] = self._xx[:, strip, below].transpose(1, 2)
            self._one_sided = False
        return self._xx

    @xx.setter
    def xx(self, value: torch.Tensor) -> None:
        self._xx = value
        self._one_sided = False

    def _strips(self) -> list[slice]:
        columns = self._xx.shape[2]
        starts = range(0, columns, STRIP_COLUMNS)
        return [slice(start, min(start + STRIP_COLUMNS, columns)) for start in starts]

    @torch.no_grad()
    def add(self, x: torch.Tensor, y: torch.Tensor | None = None) -> None:
        """Add rows: x of shape (groups, rows, columns), y of shape (groups, rows, outputs).

        Raises
        ------
        ValueError
            If shapes are wrong, or others share these sums (see `with_outputs`).
        """
        if self._shared:
            raise ValueError(
                "these moments share their sums with those of other layers, expected some of their "
                "own: use copy(), or collect_statistics(into=)"
            )
        groups, rows = x.shape[:2]
        if x.shape[::2] != self.x.shape:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, expected ({self.x.shape[0]}, rows, "
                f"{self.x.shape[1]})"
            )
        if y is None and self.y.shape[1]:
            raise ValueError(f"y is missing, expected {rows} rows of {self.y.shape[1]} outputs")
        if y is not None and tuple(y.shape) != (groups, rows, self.y.shape[1]):
            raise ValueError(
                f"y has shape {tuple(y.shape)}, expected {(groups, rows, self.y.shape[1])}"
            )
        for start in range(0, rows, CHUNK_ROWS):
            chunk = x[:, start : start + CHUNK_ROWS].to(torch.float64)
            self.x += chunk.sum(1)
            self._add_products(chunk)
            if y is not None:
                wanted = y[:, start : start + CHUNK_ROWS].to(torch.float64)
                self.y += wanted.sum(1)
                self.yy += wanted.square().sum(1)
                self.yx.baddbmm_(wanted.transpose(1, 2), chunk)
        self.count += rows

    def _add_products(self, chunk: torch.Tensor) -> None:
        strips = self._strips()
        if len(strips) == 1:
            self._xx.baddbmm_(chunk.transpose(1, 2), chunk)
            return
        for sums, rows in zip(self._xx, chunk, strict=True):
            for strip in strips:
                sums[strip, strip.start :].addmm_(rows[:, strip].T, rows[:, strip.start :])
        self._one_sided = True

    @torch.no_grad()
    def with_outputs(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Moments:
        """The same inputs, with the outputs W x + b in place of those that were added.

        Parameters
        ----------
        weight : torch.Tensor, shape (groups, outputs, columns)
            W.
        bias : torch.Tensor, shape (groups, outputs), optional
            b.

        Returns
        -------
        Moments
            They share `count`, `x` and `xx` with these; from now on neither can be added to.
        """
        weight = weight.to(torch.float64)
        shift = weight.new_zeros(weight.shape[:2]) if bias is None else bias.to(torch.float64)
        own = weight @ self.xx
        through = torch.einsum("goc,gc->go", weight, self.x)
        made = Moments(0, 0, 0)
        made.count, made.x, made.xx = self.count, self.x, self.xx
        made._shared = self._shared = True
        made.y = through + self.count * shift
        made.yx = own + shift[:, :, None] * self.x[:, None, :]
        made.yy = (own * weight).sum(2) + (2 * through + self.count * shift) * shift
        return made

    def copy(self) -> Moments:
        """The same sums, on their own."""
        return Moments.from_state_dict(self.state_dict())

    def plus(self, other: Moments) -> Moments:
        """Sums over the rows of both, on their own, where these lie."""
        if other.yx.shape != self.yx.shape:
            raise ValueError(
                f"the other moments have shape {tuple(other.yx.shape)}, expected "
                f"{tuple(self.yx.shape)}"
            )
        made = Moments(0, 0, 0)
        for name in _FIELDS:
            own = getattr(self, name)
            setattr(made, name, own + getattr(other, name).to(own.device))
        return made

    def is_finite(self) -> bool:
        """Whether no NaN and no infinity got in."""
        return all(bool(getattr(self, name).isfinite().all()) for name in _FIELDS)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The sums by name."""
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, torch.Tensor]) -> Moments:
        """Undo `state_dict`."""
        if set(state) != set(_FIELDS):
            raise ValueError(f"state holds {sorted(state)}, expected {sorted(_FIELDS)}")
        groups, columns = state["x"].shape
        moments = cls(groups, columns, state["y"].shape[1], state["x"].device)
        for name in _FIELDS:
            if state[name].shape != getattr(moments, name).shape:
                raise ValueError(
                    f"{name} has shape {tuple(state[name].shape)}, expected "
                    f"{tuple(getattr(moments, name).shape)}"
                )
            setattr(moments, name, state[name].clone())
        return moments
