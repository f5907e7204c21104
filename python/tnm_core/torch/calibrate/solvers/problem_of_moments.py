"""The least-squares problem of a layer, from the moments of its inputs and outputs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import torch

from tnm_core.torch.calibrate.data import Moments
from tnm_core.torch.calibrate.solvers.problem import Hessian, LayerLeastSquares

# A variance that is a smaller share of the mean square may be nothing but rounding.
_ROUNDING = 1e-13


class RankDeficientWarning(UserWarning):
    """The calibration data do not determine a layer's weights; damping does the rest."""


def layer_least_squares_of(
    moments: Moments,
    dense: torch.Tensor,
    *,
    name: str = "",
    damping: float = 0.1,
    alpha: float = 1.0,
    bias: torch.Tensor | None = None,
    centre: bool = True,
) -> LayerLeastSquares:
    """Pose the problem of a layer of that name, from moments of inputs x and wanted outputs y.

    Damping is in units of the mean diagonal; alpha = 1 aims at y, 0 at what the dense weight makes
    of the same inputs. The bias is chosen anew if `centre`, so that it takes care of the means;
    else the layer's is subtracted from y.
    """
    _check_usable(moments, name)
    dense = dense.to(torch.float64)
    shift = torch.zeros_like(moments.y) if bias is None else bias.to(torch.float64)
    averages = _about_means(moments) if centre else _about_shift(moments, shift)
    if alpha != 1.0:
        averages = _mixed(averages, dense, shift, alpha)
    variance = averages.variance
    if centre:
        least = _ROUNDING * _largest_squares(moments, dense)
        variance = torch.where(variance > least, variance, 0.0)
    rows = int(moments.count) - int(centre)
    amount = _damping(averages.hessian, damping, rows, name)
    return LayerLeastSquares(
        hessian=Hessian(_damped(averages.hessian, amount)),
        linear=averages.linear + amount[:, None, None] * dense,
        dense=dense,
        input_mean=averages.x,
        output_mean=averages.y,
        output_variance=variance,
        damping=amount,
    )


def _check_usable(moments: Moments, name: str) -> None:
    if not int(moments.count):
        raise ValueError(f"no calibration data reached layer {name!r}, expected some")
    if not moments.is_finite():
        raise ValueError(
            f"layer {name!r} has calibration data with NaN or infinite values, expected finite "
            "ones; check the model and its inputs"
        )


@dataclass(frozen=True)
class _Averages:
    """Averages over rows: covariances if the bias takes care of the means, else second moments."""

    hessian: torch.Tensor
    linear: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor
    variance: torch.Tensor


def _about_means(moments: Moments) -> _Averages:
    count = int(moments.count)
    x, y = moments.x / count, moments.y / count
    hessian = moments.xx / count - x[:, :, None] * x[:, None, :]
    linear = moments.yx / count - y[:, :, None] * x[:, None, :]
    hessian, linear = _without_constant_columns(hessian, linear, moments)
    return _Averages(hessian, linear, x, y, moments.yy / count - y.square())


def _about_shift(moments: Moments, shift: torch.Tensor) -> _Averages:
    count = int(moments.count)
    x, y = moments.x / count, moments.y / count
    linear = moments.yx / count - shift[:, :, None] * x[:, None, :]
    variance = (moments.yy / count - 2 * shift * y + shift.square()).clamp_min(0)
    none = torch.zeros_like
    return _Averages(moments.xx / count, linear, none(x), none(y), variance)


def _without_constant_columns(
    hessian: torch.Tensor, linear: torch.Tensor, moments: Moments
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put zeros in place of what rounding leaves of inputs that do not vary."""
    squares = moments.xx.diagonal(dim1=1, dim2=2) / moments.count
    constant = hessian.diagonal(dim1=1, dim2=2) <= _ROUNDING * squares
    if not bool(constant.any()):
        return hessian, linear
    either = constant[:, :, None] | constant[:, None, :]
    return hessian.masked_fill(either, 0.0), linear.masked_fill(constant[:, None, :], 0.0)


def _mixed(
    averages: _Averages, dense: torch.Tensor, shift: torch.Tensor, alpha: float
) -> _Averages:
    """Aim in part at what the dense weight makes of the same inputs."""
    own = dense @ averages.hessian
    own_variance = (own * dense).sum(-1)
    both = (averages.linear * dense).sum(-1)
    own_mean = torch.einsum("goc,gc->go", dense, averages.x) + shift
    return replace(
        averages,
        linear=alpha * averages.linear + (1 - alpha) * own,
        y=alpha * averages.y + (1 - alpha) * own_mean,
        variance=alpha**2 * averages.variance
        + 2 * alpha * (1 - alpha) * both
        + (1 - alpha) ** 2 * own_variance,
    )


def _largest_squares(moments: Moments, dense: torch.Tensor) -> torch.Tensor:
    """Return mean squares of outputs, which round as the largest products in them do."""
    count = int(moments.count)
    largest = torch.einsum("goc,gc->go", dense.abs(), (moments.x / count).abs()).square()
    return moments.yy / count + largest


def _damping(hessian: torch.Tensor, damping: float, rows: int, name: str) -> torch.Tensor:
    """Return how much to add to the diagonal; warn if the data alone would not do."""
    diagonal = hessian.diagonal(dim1=1, dim2=2)
    mean = diagonal.mean(1)
    columns = diagonal.shape[1]
    rank = min(rows, int((diagonal > 0).sum(1).min()))
    amount = damping * mean if damping else _least_damping(hessian, mean)
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


def _least_damping(hessian: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Find the least that Cholesky stands, by powers of ten from the rounding of float64."""
    amount = torch.zeros_like(mean)
    share = 1e-12
    while torch.linalg.cholesky_ex(_damped(hessian, amount)).info.any() and share < 1:
        amount = torch.where(mean > 0, share * mean, 1.0)
        share *= 10
    return amount


def _damped(hessian: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    damped = hessian.clone()
    damped.diagonal(dim1=1, dim2=2).add_(amount[:, None])
    return damped
