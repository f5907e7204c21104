"""The least-squares problem of a layer, from its moments."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from tnm_core.torch.calibrate.data import Moments

__all__ = ["Quadratic", "RankDeficientWarning", "problem_without_data", "quadratic_of"]


# A variance that is a smaller share of the mean square may be nothing but rounding.
_ROUNDING = 1e-13


class RankDeficientWarning(UserWarning):
    """The calibration data do not determine a layer's weights; damping does the rest."""


@dataclass(frozen=True)
class Quadratic:
    """Minimise tr(W H Wᵀ) / 2 - tr(B Wᵀ) over the kept entries of W, for each group.

    Attributes
    ----------
    hessian : torch.Tensor of float64, shape (groups, columns, columns)
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

    hessian: torch.Tensor
    linear: torch.Tensor
    dense: torch.Tensor
    input_mean: torch.Tensor
    output_mean: torch.Tensor
    output_variance: torch.Tensor
    damping: torch.Tensor

    @cached_property
    def spectrum(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Eigenvalues and eigenvectors of the Hessian scaled to a unit diagonal, float32."""
        scale = self.diagonal.sqrt()
        scaled = self.hessian / (scale[:, :, None] * scale[:, None, :])
        values, vectors = torch.linalg.eigh(scaled.float())
        return values.clamp_min(0), vectors

    @cached_property
    def inverse(self) -> torch.Tensor | None:
        """Of the Hessian; None if it is not positive definite to working precision."""
        factor, info = torch.linalg.cholesky_ex(self.hessian)
        return None if bool(info.any()) else torch.cholesky_inverse(factor)

    def outputs(self, rows: slice) -> Quadratic:
        """The problem of some of the outputs, which shares what was computed."""
        part = replace(
            self,
            linear=self.linear[:, rows],
            dense=self.dense[:, rows],
            output_mean=self.output_mean[:, rows],
            output_variance=self.output_variance[:, rows],
        )
        if "spectrum" in self.__dict__:
            part.__dict__["spectrum"] = self.spectrum
        return part

    @property
    def diagonal(self) -> torch.Tensor:
        """Of the Hessian, shape (groups, columns)."""
        return self.hessian.diagonal(dim1=1, dim2=2)

    def bias(self, weight: torch.Tensor) -> torch.Tensor:
        """The best bias for given weights, shape (groups, outputs)."""
        return self.output_mean - torch.einsum("goc,gc->go", weight, self.input_mean)

    def relative_error(self, weight: torch.Tensor) -> float:
        """Squared error of the outputs over their variance, with the best bias, undamped."""
        damping = self.damping[:, None, None]
        linear = self.linear - damping * self.dense
        quadratic = ((weight @ self.hessian) - damping * weight) * weight
        variance = float(self.output_variance.sum())
        if not variance:  # outputs that do not vary are left to the bias
            return 0.0
        error = variance + float((quadratic - 2 * weight * linear).sum())
        return max(error, 0.0) / variance


def quadratic_of(
    moments: Moments,
    dense: torch.Tensor,
    *,
    name: str = "",
    damping: float = 0.1,
    alpha: float = 1.0,
    bias: torch.Tensor | None = None,
    centre: bool = True,
) -> Quadratic:
    """Pose a layer's problem.

    Parameters
    ----------
    moments : Moments
        Of inputs x and wanted outputs y.
    dense : torch.Tensor, shape (groups, outputs, columns)
        The weight to start from.
    name : str
        The layer's, for messages.
    damping : float
        Added to the diagonal, in units of its mean.
    alpha : float in [0, 1]
        1 aims at y, 0 at what the dense weight makes of the same inputs.
    bias : torch.Tensor, shape (groups, outputs), optional
        What the layer adds; subtracted from y if `centre` is false.
    centre : bool
        Whether the bias is chosen anew, so that it takes care of the means.

    Raises
    ------
    ValueError
        If no row was seen, or the moments are not finite.
    """
    count = int(moments.count)
    if not count:
        raise ValueError(f"no calibration data reached layer {name!r}, expected some")
    if not moments.is_finite():
        raise ValueError(
            f"layer {name!r} has calibration data with NaN or infinite values, expected finite "
            "ones; check the model and its inputs"
        )
    dense = dense.to(torch.float64)
    shift = torch.zeros_like(moments.y) if bias is None else bias.to(torch.float64)
    x, y = moments.x / count, moments.y / count
    linear = moments.yx / count
    variance = moments.yy / count
    if centre:
        linear = linear - y[:, :, None] * x[:, None, :]
        variance = variance - y.square()
    else:
        linear = linear - shift[:, :, None] * x[:, None, :]
        variance = (variance - 2 * shift * y + shift.square()).clamp_min(0)
        x, y = torch.zeros_like(x), torch.zeros_like(y)
    hessian = moments.xx / count - x[:, :, None] * x[:, None, :]
    if centre:
        hessian, linear = _without_constant_columns(hessian, linear, moments)
    own_output = dense @ hessian
    if alpha != 1.0:
        variance = _mixed_variance(variance, linear, own_output, dense, alpha)
        linear = alpha * linear + (1 - alpha) * own_output
        y = alpha * y + (1 - alpha) * (torch.einsum("goc,gc->go", dense, x) + shift)
    if centre:
        # Outputs are sums of products, which round as the largest of these do.
        largest = torch.einsum("goc,gc->go", dense.abs(), (moments.x / count).abs()).square()
        least = _ROUNDING * (moments.yy / count + largest)
        variance = torch.where(variance > least, variance, 0.0)
    amount = _damping(hessian, damping, count - int(centre), name)
    hessian.diagonal(dim1=1, dim2=2).add_(amount[:, None])
    linear = linear + amount[:, None, None] * dense
    return Quadratic(hessian, linear, dense, x, y, variance, amount)


def _without_constant_columns(
    hessian: torch.Tensor, linear: torch.Tensor, moments: Moments
) -> tuple[torch.Tensor, torch.Tensor]:
    """Zeros in place of what rounding leaves of inputs that do not vary."""
    squares = moments.xx.diagonal(dim1=1, dim2=2) / moments.count
    constant = hessian.diagonal(dim1=1, dim2=2) <= _ROUNDING * squares
    if not bool(constant.any()):
        return hessian, linear
    either = constant[:, :, None] | constant[:, None, :]
    return hessian.masked_fill(either, 0.0), linear.masked_fill(constant[:, None, :], 0.0)


def problem_without_data(dense: torch.Tensor) -> Quadratic:
    """A problem of uncorrelated inputs, for recipes that look at weights alone."""
    dense = dense.to(torch.float64)
    groups, outputs, columns = dense.shape
    identity = torch.eye(columns, dtype=torch.float64, device=dense.device)
    per_output = dense.new_zeros(groups, outputs)
    return Quadratic(
        identity.expand(groups, columns, columns),
        dense,
        dense,
        dense.new_zeros(groups, columns),
        per_output,
        per_output,
        dense.new_zeros(groups),
    )


def _mixed_variance(
    variance: torch.Tensor,
    linear: torch.Tensor,
    own_output: torch.Tensor,
    dense: torch.Tensor,
    alpha: float,
) -> torch.Tensor:
    own = (own_output * dense).sum(-1)
    both = (linear * dense).sum(-1)
    return alpha**2 * variance + 2 * alpha * (1 - alpha) * both + (1 - alpha) ** 2 * own


def _damping(hessian: torch.Tensor, damping: float, rows: int, name: str) -> torch.Tensor:
    """How much to add to the diagonal, told if the data alone would not do."""
    diagonal = hessian.diagonal(dim1=1, dim2=2)
    mean = diagonal.mean(1)
    columns = diagonal.shape[1]
    rank = min(rows, int((diagonal > 0).sum(1).min()))
    amount = damping * mean
    if not damping:
        # The least that Cholesky stands: by powers of ten from the rounding of float64.
        share = 1e-12
        while torch.linalg.cholesky_ex(_damped(hessian, amount)).info.any() and share < 1:
            amount = torch.where(mean > 0, share * mean, 1.0)
            share *= 10
    amount = torch.where(mean > 0, amount, 1.0)
    if rank < columns or (not damping and bool(amount.any())):
        warnings.warn(
            f"layer {name!r}: the calibration data are rank-deficient ({rows} rows, rank at most "
            f"{rank} of {columns} columns); damped by {float(amount.max()):.3g}, "
            f"{float((amount / mean.clamp_min(1e-300)).max()):.3g} of the mean diagonal",
            RankDeficientWarning,
            stacklevel=2,
        )
    return amount


def _damped(hessian: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    return hessian + torch.diag_embed(amount[:, None].expand(hessian.shape[:2]))
