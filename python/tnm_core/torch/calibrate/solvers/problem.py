"""The least-squares problem of a layer: which weights to choose for given inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch


class Hessian:
    """A symmetric matrix for each group; its factorisations are computed when first asked for.

    Problems that differ in their outputs alone share one, and what was computed with it. The
    matrix, float64 of shape (groups, columns, columns), is not to be changed.
    """

    def __init__(self, matrix: torch.Tensor) -> None:
        self.matrix = matrix

    @property
    def diagonal(self) -> torch.Tensor:
        """The diagonal, shape (groups, columns)."""
        return self.matrix.diagonal(dim1=1, dim2=2)

    @cached_property
    def spectrum(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Eigenvalues and eigenvectors of the matrix scaled to a unit diagonal, in float32."""
        scale = self.diagonal.sqrt()
        scaled = self.matrix / (scale[:, :, None] * scale[:, None, :])
        values, vectors = torch.linalg.eigh(scaled.float())
        return values.clamp_min(0), vectors

    @cached_property
    def inverse(self) -> torch.Tensor | None:
        """The inverse; None if the matrix is not positive definite to working precision."""
        factor, info = torch.linalg.cholesky_ex(self.matrix)
        return None if bool(info.any()) else torch.cholesky_inverse(factor)


@dataclass(frozen=True, eq=False)
class LayerLeastSquares:
    """Minimise tr(W H Wᵀ) / 2 - tr(B Wᵀ) over the kept entries of W, for each group.

    Attributes
    ----------
    hessian : Hessian of float64, shape (groups, columns, columns)
        H: the inputs' covariance (second moments, if the layer has no bias), damped.
    linear : torch.Tensor of float64, shape (groups, outputs, columns)
        B: their covariance with the wanted outputs, plus the damping times the dense weight.
    dense : torch.Tensor of float64, shape (groups, outputs, columns)
        The weight to start from, towards which damping pulls.
    input_mean, output_mean : torch.Tensor of float64
        Shapes (groups, columns) and (groups, outputs); zero if the layer has no bias.
    output_variance : torch.Tensor of float64, shape (groups, outputs)
        Of the wanted outputs.
    damping : torch.Tensor of float64, shape (groups,)
        What was added to the diagonal.
    """

    hessian: Hessian
    linear: torch.Tensor
    dense: torch.Tensor
    input_mean: torch.Tensor
    output_mean: torch.Tensor
    output_variance: torch.Tensor
    damping: torch.Tensor

    def outputs(self, rows: slice) -> LayerLeastSquares:
        """Return the problem of some of the outputs."""
        return replace(
            self,
            linear=self.linear[:, rows],
            dense=self.dense[:, rows],
            output_mean=self.output_mean[:, rows],
            output_variance=self.output_variance[:, rows],
        )

    def bias(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the best bias for given weights, shape (groups, outputs)."""
        return self.output_mean - torch.einsum("goc,gc->go", weight, self.input_mean)

    def relative_error(self, weight: torch.Tensor) -> float:
        """Return the squared error of outputs over their variance, with the best bias, undamped."""
        damping = self.damping[:, None, None]
        linear = self.linear - damping * self.dense
        quadratic = ((weight @ self.hessian.matrix) - damping * weight) * weight
        variance = float(self.output_variance.sum())
        if not variance:  # outputs that do not vary are left to the bias
            return 0.0
        error = variance + float((quadratic - 2 * weight * linear).sum())
        return max(error, 0.0) / variance


def problem_without_data(dense: torch.Tensor) -> LayerLeastSquares:
    """Pose a problem of uncorrelated inputs, for recipes that look at weights alone."""
    dense = dense.to(torch.float64)
    groups, outputs, columns = dense.shape
    identity = torch.eye(columns, dtype=torch.float64, device=dense.device)
    per_output = dense.new_zeros(groups, outputs)
    return LayerLeastSquares(
        hessian=Hessian(identity.expand(groups, columns, columns)),
        linear=dense,
        dense=dense,
        input_mean=dense.new_zeros(groups, columns),
        output_mean=per_output,
        output_variance=per_output,
        damping=dense.new_zeros(groups),
    )
