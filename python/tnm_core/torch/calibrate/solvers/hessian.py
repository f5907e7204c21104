"""The quadratic form of a layer's problem, and what is computed from it once."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch


class Spectrum(NamedTuple):
    """Eigenvalues, shape (groups, columns), and eigenvectors, the columns of a matrix each."""

    values: torch.Tensor
    vectors: torch.Tensor


class Hessian:
    """A symmetric matrix for each group; its factorisations are computed when first asked for.

    Problems that differ in their outputs alone share one, and what was computed with it.

    Parameters
    ----------
    matrix : torch.Tensor of float64, shape (groups, columns, columns)
        Not to be changed.
    """

    def __init__(self, matrix: torch.Tensor) -> None:
        self.matrix = matrix

    @property
    def diagonal(self) -> torch.Tensor:
        """The diagonal, shape (groups, columns)."""
        return self.matrix.diagonal(dim1=1, dim2=2)

    @cached_property
    def spectrum(self) -> Spectrum:
        """That of the matrix scaled to a unit diagonal, in float32."""
        scale = self.diagonal.sqrt()
        scaled = self.matrix / (scale[:, :, None] * scale[:, None, :])
        values, vectors = torch.linalg.eigh(scaled.float())
        return Spectrum(values.clamp_min(0), vectors)

    @cached_property
    def inverse(self) -> torch.Tensor | None:
        """The inverse; None if the matrix is not positive definite to working precision."""
        factor, info = torch.linalg.cholesky_ex(self.matrix)
        return None if bool(info.any()) else torch.cholesky_inverse(factor)
