"""Adding up the moments of a layer, some rows at a time."""

from __future__ import annotations

import copy

import torch

from tnm_core.torch.calibrate.data.moments import Moments

# Rows are turned to float64 and multiplied so many at a time.
CHUNK_ROWS = 2048
# Of XᵀX, so many columns at a time are multiplied with themselves and those to their right.
STRIP_COLUMNS = 256


class MomentSums:
    """Sums that grow row by row until they are read as `Moments`.

    Their memory does not depend on how many rows are added. Of XᵀX, which is symmetric, only what
    lies on and above the diagonal is added up.

    Parameters
    ----------
    groups, columns, outputs : int
        The problems' shapes; outputs may be 0 if only inputs are wanted.
    device : torch.device, optional
        Where the sums lie.
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
        """Add rows: x of shape (groups, rows, columns), y of shape (groups, rows, outputs).

        Raises
        ------
        ValueError
            If a shape is wrong.
        """
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
